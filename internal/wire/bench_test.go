package wire

import "testing"

// firstOfType returns the first message of each type in the tables.
func firstOfType(t testing.TB) (messages []golden) {
	seen := map[string]bool{}
	for _, g := range append(rsplibMessages, rfcMessages...) {
		g.name = typeName(g.enrp, g.bytes(t)[0])
		if !seen[g.name] {
			seen[g.name] = true
			messages = append(messages, g)
		}
	}
	return messages
}

func typeName(enrp bool, t byte) string {
	if enrp {
		return enrpType(t).String()
	}
	return asapType(t).String()
}

func BenchmarkEncode(b *testing.B) {
	for _, g := range firstOfType(b) {
		b.Run(g.name, func(b *testing.B) {
			buf := make([]byte, 0, 1500)
			b.ReportAllocs()
			b.SetBytes(int64(len(g.bytes(b))))
			for b.Loop() {
				buf = g.want.AppendTo(buf[:0])
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, g := range firstOfType(b) {
		b.Run(g.name, func(b *testing.B) {
			bytes := g.bytes(b)
			var d Decoder
			b.ReportAllocs()
			b.SetBytes(int64(len(bytes)))
			for b.Loop() {
				if _, err := decode(&d, g.enrp, bytes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendResolution(b *testing.B) {
	e := registered(echoPE, pr1)
	encoded := AppendElement(nil, &e)
	elements := [][]byte{encoded, encoded, encoded}
	buf := make([]byte, 0, 1500)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendResolution(buf[:0], "EchoPool", roundRobin, elements)
	}
}

// Neither way allocates, once the buffer and the Decoder have grown.
func TestAllocations(t *testing.T) {
	var d Decoder
	buf := make([]byte, 0, 1500)
	for _, g := range append(rsplibMessages, rfcMessages...) {
		b := g.bytes(t)
		if n := testing.AllocsPerRun(20, func() { buf = g.want.AppendTo(buf[:0]) }); n != 0 {
			t.Errorf("%s: encoding allocates %v times", g.name, n)
		}
		n := testing.AllocsPerRun(20, func() {
			if _, err := decode(&d, g.enrp, b); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: decoding allocates %v times", g.name, n)
		}
	}
}
