package handlespace

import "math/bits"

// fenwick is a list of numbers that knows its prefix sums: every operation takes
// a time logarithmic in its length (P. Fenwick, "A New Data Structure for
// Cumulative Frequency Tables", 1994). With indices from 1, sums[i-1] is the sum
// of the i&-i numbers that end with the i-th.
type fenwick struct {
	sums []uint64
}

func (f *fenwick) push(v uint64) {
	i := len(f.sums) + 1
	for child := i - 1; child > i-i&-i; child -= child & -child {
		v += f.sums[child-1]
	}
	f.sums = append(f.sums, v)
}

// pop removes the last number, which no other sum includes.
func (f *fenwick) pop() { f.sums = f.sums[:len(f.sums)-1] }

func (f *fenwick) total() uint64 { return f.prefix(len(f.sums)) }

// prefix returns the sum of the first n numbers.
func (f *fenwick) prefix(n int) uint64 {
	var sum uint64
	for ; n > 0; n -= n & -n {
		sum += f.sums[n-1]
	}
	return sum
}

func (f *fenwick) get(index int) uint64 { return f.prefix(index+1) - f.prefix(index) }

// add adds delta, modulo 1<<64, to a number.
func (f *fenwick) add(index int, delta uint64) {
	for i := index + 1; i <= len(f.sums); i += i & -i {
		f.sums[i-1] += delta
	}
}

// find returns the index of the number that reaches beyond x when all are laid
// end to end; x must be less than the total.
func (f *fenwick) find(x uint64) int {
	index := 0
	for step := 1 << bits.Len(uint(len(f.sums))); step > 0; step >>= 1 {
		if i := index + step; i <= len(f.sums) && f.sums[i-1] <= x {
			x -= f.sums[i-1]
			index = i
		}
	}
	return index
}
