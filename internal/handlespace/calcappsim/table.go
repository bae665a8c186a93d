package main

import (
	"fmt"
	"io"
)

// writeTable prints the points of a pool, one a line.
func writeTable(w io.Writer, title string, curves []curve) error {
	if _, err := fmt.Fprintf(w, "%s\n%-22s %10s %16s %18s %18s\n", title,
		"policy", "target/%", "utilisation/%", "handling speed/%", "refused tries/job"); err != nil {
		return err
	}
	for _, c := range curves {
		for _, p := range c.points {
			if _, err := fmt.Fprintf(w, "%-22v %10.0f %16s %18s %18s\n", c.policy, 100*p.target,
				p.utilisation.text(100, 1), p.speed.text(100, 1), p.refused.text(1, 3)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

// text prints an estimate in a unit of which it has scale, to some decimals.
func (e estimate) text(scale float64, decimals int) string {
	return fmt.Sprintf("%.*f ± %.*f", decimals, scale*e.mean, decimals, scale*e.half)
}
