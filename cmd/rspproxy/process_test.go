package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rserpool/rsp/internal/lab"
)

// freeAddr is an address at which nobody listens at the moment.
func freeAddr(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// waitListening waits until somebody listens at addr.
func waitListening(t testing.TB, addr string) {
	t.Helper()
	waitFor(t, "listener at "+addr, func() bool {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// lookPath skips the test where a program is not installed.
func lookPath(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs %s: apt-get install nginx-light wrk curl haproxy", program)
	}
	return path
}

// startCommand runs a program until the test ends or kill is called.
func startCommand(t testing.TB, cmd *exec.Cmd) (kill func()) {
	t.Helper()
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			cmd.Process.Kill()
			cmd.Wait() // it was killed: that is its error
		}
	}
	t.Cleanup(kill)
	return kill
}

var address = regexp.MustCompile(`msg="proxy PU is running".* address=(\S+)`)

// startProgram runs this program in a process of its own and returns the address of a proxy PU.
func startProgram(t testing.TB, s *scope, args ...string) string {
	t.Helper()
	addr, _ := startProcess(t, s, address, args...)
	return addr
}

// startProcess runs this program in a process of its own until it has logged what ready matches, and returns its
// first group, if any, and how to kill it.
func startProcess(t testing.TB, s *scope, ready *regexp.Regexp, args ...string) (found string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"-pool=" + string(testPool), "-registrar=" + s.cfg.Registrars[0], "-transport=tcp"}, args...)...)
	cmd.Env = append(os.Environ(), programVar+"=1")
	var log lab.Output
	cmd.Stderr = io.MultiWriter(t.Output(), &log)
	kill = startCommand(t, cmd)
	waitFor(t, "log of "+strings.Join(args, " "), func() bool {
		match := ready.FindStringSubmatch(log.String())
		if match == nil {
			return false
		}
		found = match[len(match)-1]
		return true
	})
	return found, kill
}

// startNginx runs an nginx with one worker and returns its address. config is more for its server.
func startNginx(t testing.TB, dir, name, config string) string {
	t.Helper()
	addr := freeAddr(t)
	runNginx(t, dir, name, addr, config)
	return addr
}

// runNginx runs an nginx with one worker at addr and returns how to kill it.
func runNginx(t testing.TB, dir, name, addr, config string) (kill func()) {
	t.Helper()
	nginx := lookPath(t, "nginx")
	root := filepath.Join(dir, "www")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, size := range map[string]int{"small": 600, "large": 16 << 20} {
		if err := os.WriteFile(filepath.Join(root, file), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	temp := filepath.Join(dir, name)
	text := fmt.Sprintf(`daemon off; master_process off; pid %[1]s.pid; error_log stderr;
events { worker_connections 4096; }
http {
	access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; root %[2]s;
	client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
	server { listen %[3]s; add_header Served-By %[4]s; %[5]s }
}
`, temp, root, addr, name, config)
	file := temp + ".conf"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(nginx, "-c", file)
	cmd.Stderr = t.Output()
	kill = startCommand(t, cmd)
	waitListening(t, addr)
	return kill
}

// startHAProxy runs an HAProxy that relays TCP to service, and returns its address.
func startHAProxy(t testing.TB, dir, service string) string {
	t.Helper()
	addr := freeAddr(t)
	file := filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(`global
	maxconn 2000
defaults
	mode tcp
	option splice-auto
	timeout connect 1s
	timeout client 1h
	timeout server 1h
listen proxy
	bind %s
	server service %s
`, addr, service)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(lookPath(t, "haproxy"), "-db", "-f", file)
	cmd.Stderr = t.Output()
	startCommand(t, cmd)
	waitListening(t, addr)
	return addr
}
