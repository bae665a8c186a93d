//go:build race

package handlespace

func init() { modelShare = 12 } // it is twelve times as slow, and nothing runs beside it
