package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// RESP, the protocol of Redis: a command is an array of strings, a reply one value.

const (
	maxArgs = 16
	maxBulk = 64 << 10
)

var errProtocol = errors.New("not RESP")

// errNil is the reply that there is no such value.
var errNil = errors.New("no such value")

// replyError is an error that the server has answered.
type replyError string

func (e replyError) Error() string { return string(e) }

func bulk(s string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }

// readCommand reads a command, which has one word at least; the first may be written in any case.
func readCommand(r *bufio.Reader) ([]string, error) {
	n, err := readSize(r, '*', maxArgs)
	if err != nil || n < 1 {
		return nil, errors.Join(err, errProtocol)
	}
	args := make([]string, n)
	for i := range args {
		size, err := readSize(r, '$', maxBulk)
		if err != nil {
			return nil, err
		}
		if args[i], err = readBulk(r, size); err != nil {
			return nil, err
		}
	}
	args[0] = strings.ToUpper(args[0])
	return args, nil
}

// readSize reads a line that is a mark and a number from 0 to limit.
func readSize(r *bufio.Reader, mark byte, limit int) (int, error) {
	line, err := readLine(r)
	if err != nil {
		return 0, err
	}
	if line[0] != mark {
		return 0, errProtocol
	}
	n, err := strconv.ParseUint(line[1:], 10, 31)
	if err != nil || int(n) > limit {
		return 0, errProtocol
	}
	return int(n), nil
}

// readLine reads a line of one byte at least, without its end.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n') // no longer than the reader's buffer
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	if !ok || text == "" {
		return "", errProtocol
	}
	return text, nil
}

func readBulk(r *bufio.Reader, size int) (string, error) {
	b := make([]byte, size+len("\r\n"))
	_, err := io.ReadFull(r, b)
	return string(b[:size]), err
}

// roundTrip sends a command and reads its reply.
func roundTrip(conn net.Conn, r *bufio.Reader, args []string) (string, error) {
	command := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		command = append(command, bulk(arg)...)
	}
	if _, err := conn.Write(command); err != nil {
		return "", err
	}
	line, err := readLine(r)
	if err != nil {
		return "", err
	}
	switch kind, text := line[0], line[1:]; {
	case kind == '+' || kind == ':':
		return text, nil
	case kind == '-':
		return "", replyError(text)
	case line == "$-1":
		return "", errNil
	case kind == '$':
		size, err := strconv.ParseUint(text, 10, 31)
		if err != nil || size > maxBulk {
			return "", errProtocol
		}
		return readBulk(r, int(size))
	}
	return "", errProtocol
}

// repeatable reports whether a command may be carried out twice.
func repeatable(command string) bool { return command != "INCR" }
