package tcp

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A queue gives back what it took, whatever the sizes, and has no memory when empty.
func TestByteQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q byteQueue
	var model []byte
	next := byte(0)
	for range 2000 {
		if random.IntN(2) == 0 {
			b := make([]byte, random.IntN(40<<10))
			for i := range b {
				b[i] = next
				next++
			}
			q.write(b)
			model = append(model, b...)
		} else {
			b := make([]byte, random.IntN(len(model)+1))
			q.read(b)
			if !bytes.Equal(b, model[:len(b)]) {
				t.Fatal("read other bytes than were written")
			}
			model = model[len(b):]
		}
		if (q.head == nil) != (len(model) == 0) {
			t.Fatalf("head %p with %d bytes", q.head, len(model))
		}
	}
}

// A reader that drains the queue leaves the room alone that is being filled.
func TestByteQueueReadWhileFilling(t *testing.T) {
	var q byteQueue
	q.write([]byte("abc"))
	room := q.reserve()
	q.read(make([]byte, 3))
	copy(room, "def")
	q.commit(3)
	got := make([]byte, 3)
	q.read(got)
	if string(got) != "def" || q.head != nil {
		t.Errorf("%q, head %p", got, q.head)
	}
}

func TestLengths(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var l lengths
	var model []int
	for range 10_000 {
		if n := random.IntN(5); n > 0 {
			for range n {
				length := random.IntN(1 << 16)
				l.push(length)
				model = append(model, length)
			}
			continue
		}
		n, want := random.IntN(min(len(model), 12)+1), 0
		for _, length := range model[:n] {
			want += length
		}
		model = model[n:]
		if got := l.pop(n); got != want || l.len() != len(model) {
			t.Fatalf("pop(%d): %d, %d left; want %d, %d left", n, got, l.len(), want, len(model))
		}
	}
}
