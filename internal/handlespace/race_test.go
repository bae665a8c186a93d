//go:build race

package handlespace

func init() { modelShare = 25 } // it is some ten times as slow, and there are no goroutines here
