package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/rserpool/rsp"
	"github.com/rserpool/rsp/examples/internal/fractal"
	"github.com/rserpool/rsp/examples/internal/program"
)

// options are what the command line says.
type options struct {
	*program.Options

	pool                     rsp.PoolHandle
	configDir                string
	caption                  string
	width, height            int
	threads                  int
	images                   int // 0: no limit
	sendTimeout, recvTimeout time.Duration
	interImageTime           time.Duration
	imageStoragePrefix       string
	colours                  colours
	demo                     bool
	web                      string
}

// parse reads the command line. Help goes to stdout.
func parse(args []string, stdout io.Writer) (*options, error) {
	o := &options{
		Options: program.NewOptions("fractalpooluser", "Lets the servers of a pool compute pictures."),
		pool:    fractal.Pool, width: 400, height: 250, threads: 1,
		sendTimeout: 5 * time.Second, recvTimeout: 5 * time.Second, interImageTime: 5 * time.Second,
	}
	o.Group("Service Parameters", o.define)
	if err := o.Parse(args, stdout); err != nil {
		return nil, err
	}
	for _, limit := range []struct {
		name  string
		value int
		most  int
	}{{"width", o.width, 8192}, {"height", o.height, 4096}, {"threads", o.threads, 512}} {
		if limit.value > limit.most {
			return nil, fmt.Errorf("-%s=%d: must be at most %d", limit.name, limit.value, limit.most)
		}
	}
	return o, nil
}

func (o *options) define(fs *flag.FlagSet) {
	fs.BoolVar(&o.demo, "demo", false, "Shows everything in one process: a registrar, three servers, of which two die, and this client.")
	fs.StringVar(&o.web, "web", "", "Shows pictures while they are computed, in a browser: `host:port` of the page.")
	fs.Var(program.Pool(&o.pool), "poolhandle", "Sets the PH to a non-default value, `pool handle`.")
	fs.StringVar(&o.configDir, "configdir", "fgpconfig", "Sets a `directory` of fractals (*.fsf), of which each picture takes one at random; or one such file.")
	fs.StringVar(&o.caption, "caption", "Fractal Pool User", "Sets the title of the page, `page title`.")
	fs.Var(program.Count(&o.width, 64), "width", "Sets the width of the images to be calculated in `pixels`, up to 8192.")
	fs.Var(program.Count(&o.height, 64), "height", "Sets the height of the images to be calculated in `pixels`, up to 4096.")
	fs.Var(program.Count(&o.threads, 1), "threads", "Sets the number of parallel sessions to use for processing of each image, `sessions`, up to 512.")
	fs.Var(program.Count(&o.images, 0), "images", "Ends after so many `images`; 0: never.")
	fs.Var(program.Milliseconds(&o.sendTimeout, time.Millisecond), "sendtimeout", "Gives up a server that takes no question for so many `milliseconds`.")
	fs.Var(program.Milliseconds(&o.recvTimeout, time.Millisecond), "recvtimeout", "Gives up a server that sends nothing for so many `milliseconds`.")
	fs.Var(program.Seconds(&o.interImageTime), "interimagetime", "Sets the pause time between two image calculations in `seconds`.")
	fs.StringVar(&o.imageStoragePrefix, "imagestorageprefix", "", "Stores each successfully calculated image as PNG file: `file name prefix`, with a 6-digit file number added.")
	fs.BoolVar(&o.colours.failovers, "colormarks", false, "Turns on color change on session failover.")
	fs.BoolFunc("nocolormarks", "Turns off color change on session failover.", func(string) error { o.colours.failovers = false; return nil })
	fs.BoolVar(&o.colours.sessions, "sessions", false, "Turns on color change between different sessions.")
	fs.BoolFunc("nosessions", "Turns off color change between different sessions.", func(string) error { o.colours.sessions = false; return nil })
	fs.Func("identifier", "`PU identifier`, for compatibility: it changes nothing.", program.Ignore)
}

// choose chooses a fractal, and returns its name.
func (o *options) choose() (string, fractal.Parameter, error) {
	name, err := chooseFile(o.configDir)
	if err != nil {
		return "", fractal.Parameter{}, err
	}
	parameter := fractal.Default()
	if name == "" {
		name = "the Mandelbrot set"
	} else if parameter, err = fractal.ReadFile(name); err != nil {
		return "", fractal.Parameter{}, err
	}
	parameter.Width, parameter.Height = uint32(o.width), uint32(o.height)
	return filepath.Base(name), parameter, nil
}

// chooseFile chooses a file of a directory, which may be absent: "".
func chooseFile(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case !info.IsDir():
		return dir, nil
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.fsf"))
	if err != nil || len(names) == 0 {
		return "", err
	}
	return names[rand.IntN(len(names))], nil
}
