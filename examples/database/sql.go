package main

import (
	"bufio"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
)

// sqlDriver is a driver of database/sql that takes any DialContext, as real ones do. Its
// "SQL" is the commands of resp.go: the query is the command's name, and a reply one row of one column.
type sqlDriver struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Open is needed by driver.Driver.
func (d sqlDriver) Open(address string) (driver.Conn, error) {
	return connector{d, address}.Connect(context.Background())
}

// connector opens the connections of a sql.DB.
type connector struct {
	driver  sqlDriver
	address string
}

func (c connector) Driver() driver.Driver { return c.driver }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.driver.dial(ctx, "rsp", c.address)
	if err != nil {
		return nil, err
	}
	return &sqlConn{conn, bufio.NewReader(conn)}, nil
}

type sqlConn struct {
	net.Conn
	r *bufio.Reader
}

var (
	_ driver.QueryerContext  = (*sqlConn)(nil)
	_ driver.SessionResetter = (*sqlConn)(nil)
)

// QueryContext sends a command. When the connection has broken, driver.ErrBadConn makes database/sql
// send it again on another one; that is only for what may be done twice.
func (c *sqlConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	words := []string{query}
	for _, arg := range args {
		words = append(words, fmt.Sprint(arg.Value))
	}
	deadline, _ := ctx.Deadline() // zero: none
	if err := c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	reply, err := roundTrip(c.Conn, c.r, words)
	switch {
	case err == nil:
		return &rows{reply: &reply}, nil
	case err == errNil:
		return &rows{}, nil
	case errors.As(err, new(replyError)), ctx.Err() != nil, !repeatable(query):
		return nil, err
	}
	return nil, driver.ErrBadConn
}

// ResetSession is called before a connection is used again: if its server died meanwhile, database/sql
// opens another one, and no command is lost.
func (c *sqlConn) ResetSession(ctx context.Context) error {
	rows, err := c.QueryContext(ctx, "PING", nil)
	if err != nil {
		return driver.ErrBadConn
	}
	return rows.Close()
}

var errUnsupported = errors.New("this driver only has queries")

func (c *sqlConn) Prepare(string) (driver.Stmt, error) { return nil, errUnsupported }
func (c *sqlConn) Begin() (driver.Tx, error)           { return nil, errUnsupported }

// rows is one row of one column until it has been read, or none.
type rows struct{ reply *string } // nil: no row

func (r *rows) Columns() []string { return []string{"reply"} }
func (r *rows) Close() error      { return nil }

func (r *rows) Next(row []driver.Value) error {
	if r.reply == nil {
		return io.EOF
	}
	row[0], r.reply = *r.reply, nil
	return nil
}
