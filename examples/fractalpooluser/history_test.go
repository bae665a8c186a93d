package main

import (
	"slices"
	"testing"
)

// What is told of a picture is not lost on a reader when the next one begins.
func TestHistoryReaderBehind(t *testing.T) {
	h := newHistory()
	r := &reader{history: h}
	want := func(texts ...string) {
		t.Helper()
		events, err := r.read(t.Context())
		var got []string
		for _, e := range events {
			if e.kind == eventNote {
				got = append(got, e.text)
			}
		}
		if err != nil || !slices.Equal(got, texts) {
			t.Errorf("read %q, %v; want %q", got, err, texts)
		}
	}
	note := func(text string) { h.add(event{kind: eventNote, text: text}) }
	h.begin(nil)
	note("one begins")
	want("one begins")
	note("one is stored")
	h.begin(nil)
	note("two begins")
	want("one is stored", "two begins")
	note("two is stored")
	h.begin(nil)
	note("three is stored")
	h.begin(nil)
	note("four begins")
	want("four begins")
}
