package program

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
)

// logOptions are where the log goes and what it takes.
type logOptions struct {
	level      logLevel
	file       string
	appendFile string
	quiet      bool
}

// logLevel is RSPLIB's: 0 for nothing, 9 for everything.
type logLevel int

const (
	logErrors   logLevel = 1
	logWarnings logLevel = 2
	logDetails  logLevel = 6
	logMost     logLevel = 9
)

func (l *logLevel) String() string { return strconv.Itoa(int(*l)) }

func (l *logLevel) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > int(logMost) {
		return fmt.Errorf("must be a number from 0 to %d", logMost)
	}
	*l = logLevel(n)
	return nil
}

func (l logLevel) slog() slog.Level {
	switch {
	case l <= logErrors:
		return slog.LevelError
	case l <= logWarnings:
		return slog.LevelWarn
	case l < logDetails:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

func (l *logOptions) define(fs *flag.FlagSet) {
	fs.Var(&l.level, "loglevel", "Sets the logging verbosity from 0 to 9, `0-9`: 0 nothing, 1 errors, 2 warnings too, 3 to 5 what happens too, 6 to 9 details too.")
	fs.StringVar(&l.file, "logfile", "", "Writes logging output to the file `filename`, which will be overwritten; default is standard error.")
	fs.StringVar(&l.appendFile, "logappend", "", "Writes logging output to the file `filename`; output will be appended.")
	fs.BoolVar(&l.quiet, "logquiet", false, "No logging output.")
	fs.Func("logcolor", "`on|off`, for compatibility: logging output has no colours.", Ignore)
}

// OpenLog makes the log that the options want Config's Logger. The program closes it at its end.
func (o *Options) OpenLog(stderr io.Writer) (closeLog func() error, err error) {
	l := &o.log
	nothing := func() error { return nil }
	if l.quiet || l.level == 0 {
		o.Config.Logger = slog.New(slog.DiscardHandler)
		return nothing, nil
	}
	w, closeLog := stderr, nothing
	name, flags := l.file, os.O_TRUNC
	if l.appendFile != "" {
		name, flags = l.appendFile, os.O_APPEND
	}
	if name != "" {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|flags, 0o644)
		if err != nil {
			return nil, fmt.Errorf("cannot log: %w", err)
		}
		w, closeLog = f, f.Close
	}
	o.Config.Logger = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l.level.slog()}))
	return closeLog, nil
}
