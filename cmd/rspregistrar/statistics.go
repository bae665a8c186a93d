package main

import (
	"fmt"
	"io"
	"time"

	"github.com/rserpool/rsp"
)

const statsHeader = "AbsTime RelTime Runtime UserTime SystemTime   Peers Pools PoolElements OwnedPoolElements   " +
	"Registrations Reregistrations Deregistrations HandleResolutions FailureReports Synchronizations HandleUpdates EndpointKeepAlives\n"

// statistics adds up what the registrar does, over all its lives where -uptime ends them.
type statistics struct {
	start       time.Time
	lines       int
	pastTotals  [len(totalNames)]uint64    // of former lives
	pastSeconds [len(averageNames)]float64 // the same, averages by their times
}

var totalNames = [...]string{
	"Registrations", "Reregistrations", "Deregistrations", "Handle Resolutions",
	"Failure Reports", "Synchronizations", "Handle Updates", "Endpoint Keep Alives",
}

var averageNames = [...]string{"Pools", "Pool Elements", "Owned Pool Elements", "Peers"}

// totals are a life's figures in the order of totalNames. RSPLIB counts reregistrations as
// registrations, too.
func totals(s *rsp.RegistrarStats) [len(totalNames)]uint64 {
	return [...]uint64{
		s.Registrations + s.Reregistrations, s.Reregistrations, s.Deregistrations, s.Resolutions,
		s.FailureReports, s.Synchronizations, s.HandleUpdates, s.KeepAlives,
	}
}

// averages are a life's figures in the order of averageNames.
func averages(s *rsp.RegistrarStats) [len(averageNames)]float64 {
	return [...]float64{s.AveragePools, s.AverageElements, s.AverageOwnedElements, s.AveragePeers}
}

// endLife takes what a life of the registrar came to.
func (st *statistics) endLife(s *rsp.RegistrarStats, life time.Duration) {
	for i, n := range totals(s) {
		st.pastTotals[i] += n
	}
	for i, average := range averages(s) {
		st.pastSeconds[i] += average * life.Seconds()
	}
}

// writeLine writes a line of the statistics file; s is the life that is.
func (st *statistics) writeLine(w io.Writer, now time.Time, s *rsp.RegistrarStats) {
	st.lines++
	user, system := cpuTime()
	fmt.Fprintf(w, "%06d %s %.6f   %.6f %.6f %.6f   %d %d %d %d  ", st.lines, seconds(now), now.Sub(st.start).Seconds(),
		(user + system).Seconds(), user.Seconds(), system.Seconds(), s.Peers, s.Pools, s.Elements, s.OwnedElements)
	for i, n := range totals(s) {
		fmt.Fprintf(w, " %d", st.pastTotals[i]+n)
	}
	fmt.Fprintln(w)
}

// writeScalars writes the scalar file after the last life.
func (st *statistics) writeScalars(w io.Writer, now time.Time, object string) {
	fmt.Fprintln(w, `run 1 "scenario"`)
	for i, name := range totalNames {
		fmt.Fprintf(w, "scalar %q %-38s %8d\n", object, `"Registrar Total `+name+`"`, st.pastTotals[i])
	}
	for i, name := range averageNames {
		fmt.Fprintf(w, "scalar %q %-49s %.6f\n", object, `"Registrar Average Number Of `+name+`"`, st.pastSeconds[i]/now.Sub(st.start).Seconds())
	}
}

// seconds is a time as files have it: seconds since 1970.
func seconds(t time.Time) string {
	us := t.UnixMicro()
	return fmt.Sprintf("%d.%06d", us/1e6, us%1e6)
}
