package main

import (
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
	logErrors       logLevel = 1
	logWarnings     logLevel = 2
	defaultLogLevel logLevel = 3 // what happens
	logDetails      logLevel = 6
	logMost         logLevel = 9
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

func (l *logOptions) define(o *options) {
	o.group("Log")
	o.add(&l.level, "loglevel", "`0-9`: 0 nothing, 1 errors, 2 warnings too, 3 to 5 what happens too, 6 to 9 details too")
	o.addString(&l.file, "logfile", "`file` that the log replaces; default is standard error")
	o.addString(&l.appendFile, "logappend", "`file` behind which the log goes")
	o.addBool(&l.quiet, "logquiet", "no log")
	o.add(ignored{text: "off"}, "logcolor", "`on|off`; for compatibility: the log has no colours")
}

// open returns the log and how to close it.
func (l *logOptions) open(stderr io.Writer, quiet bool) (*slog.Logger, func() error, error) {
	nothing := func() error { return nil }
	if l.quiet || l.level == 0 {
		return slog.New(slog.DiscardHandler), nothing, nil
	}
	level := l.level.slog()
	if quiet {
		level = max(level, slog.LevelWarn)
	}
	w, closeFile := stderr, nothing
	name, flags := l.file, os.O_TRUNC
	if l.appendFile != "" {
		name, flags = l.appendFile, os.O_APPEND
	}
	if name != "" {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|flags, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot log: %w", err)
		}
		w, closeFile = f, f.Close
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})), closeFile, nil
}
