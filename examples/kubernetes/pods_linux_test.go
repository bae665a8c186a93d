package kubernetes_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/rserpool/rsp/internal/lab"
)

// insideVar is set in the process that has a network of its own.
const insideVar = "RSP_KUBERNETES_TEST"

// The programs of the manifests, with their arguments, each in a root directory that has nothing else, against a DNS server that
// has the records of a headless Service: they start in any order, are ready when they say so, and a client loses
// nothing while each server and each registrar is replaced.
func TestPods(t *testing.T) {
	if os.Getenv(insideVar) == "" {
		inNetwork(t)
		return
	}
	c := &cluster{T: t, bin: os.Getenv(insideVar), service: make(map[string]string)}
	c.plug()
	c.listenDNS()
	registrar := readKind(t, "registrar.yaml", "StatefulSet").Spec.Template.Spec.Containers[0]
	server := readKind(t, "server.yaml", "Deployment").Spec.Template.Spec.Containers[0]
	client := readKind(t, "client.yaml", "Job").Spec.Template.Spec.Containers[0]

	first := c.start("server-a", server) // before there is a registrar
	first.wantStatus("/healthz", 200)
	first.wantStatus("/readyz", 503)
	registrars := []*pod{c.start("registrar-0", registrar)}
	c.publish(registrars[0])
	registrars = append(registrars, c.start("registrar-1", registrar))
	c.publish(registrars[1])
	first.wantStatus("/readyz", 200)
	second := c.start("server-b", server)
	second.wantStatus("/readyz", 200)

	client.Args = append(client.Args, "-lines=400", "-interval=25ms")
	job := c.start("client", client)
	job.wait("the first answer", func() bool { return strings.Contains(job.output.String(), "answers, from line 1 on") })
	for i, old := range []*pod{first, second} {
		next := c.start(fmt.Sprintf("server-%d", i), server)
		next.wantStatus("/readyz", 200)
		old.terminate()
	}
	for i, old := range registrars {
		c.withdraw(old)
		old.terminate()
		c.publish(c.start(fmt.Sprintf("registrar-%d", i), registrar)) // at another address
	}
	last := c.start("server-c", server) // at the new ones
	last.wantStatus("/readyz", 200)
	if err := job.end(); err != nil {
		t.Errorf("the client: %v", err)
	}
	result := regexp.MustCompile(`400 of 400 lines answered exactly once, in order; [1-9]\d* failovers`).FindString(job.output.String())
	if result == "" {
		t.Error("the client has not moved")
	}
	t.Log(result)
	last.terminate()
}

// inNetwork runs the test of this name in a process whose network nobody else has.
func inNetwork(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("ip is absent (Debian's iproute2)")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=4m")
	cmd.Env = append(os.Environ(), insideVar+"="+build(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("this system gives no network namespace: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	if reason := regexp.MustCompile(`(?s)--- SKIP.*`).Find(out.Bytes()); reason != nil {
		t.Skip(string(reason))
	}
	t.Log(out.String())
}

// cluster is a network, and a DNS server for the registrars' Service.
type cluster struct {
	*testing.T
	bin  string // the programs' directory
	pods byte   // started

	mu      sync.Mutex
	service map[string]string // addresses of the ready registrars by their host names
}

// address is that of a pod, or of the DNS server.
func address(n byte) string { return fmt.Sprintf("10.244.0.%d", n) }

// maxPods is how many pods a test may start.
const maxPods = 20

// plug gives the machine all addresses. A real pod has one; what a pod sends here has the address of where it goes.
func (c *cluster) plug() {
	c.Helper()
	for n := range byte(maxPods + 1) {
		c.ip("addr", "add", address(n+1)+"/32", "dev", "lo")
	}
	c.ip("link", "set", "lo", "up")
}

func (c *cluster) ip(args ...string) {
	c.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		c.Fatalf("ip %q: %v\n%s", args, err, out)
	}
}

const (
	dnsAddress = "10.244.0.1" // address(1)
	domain     = "default.svc.cluster.local"
	// As the kubelet writes it into pods.
	resolvConf = "search " + domain + " svc.cluster.local cluster.local\nnameserver " + dnsAddress + "\noptions ndots:5\n"
)

func (c *cluster) listenDNS() {
	c.Helper()
	conn, err := net.ListenPacket("udp", dnsAddress+":53")
	if err != nil {
		c.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if err := m.Unpack(buf[:n]); err != nil {
				c.Errorf("question %x: %v", buf[:n], err)
				continue
			}
			c.answer(&m)
			answer, err := m.Pack()
			if err != nil {
				c.Errorf("answer %+v: %v", m, err)
				continue
			}
			conn.WriteTo(answer, from) // the pod may have ended
		}
	}()
	c.Cleanup(func() { conn.Close(); <-done })
}

// answer makes a question its answer, as CoreDNS answers about a headless Service with named ports.
func (c *cluster) answer(m *dnsmessage.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := m.Questions[0]
	head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 5}
	name, known := strings.CutSuffix(q.Name.String(), ".registrar."+domain+".")
	for host, at := range c.service {
		port := map[string]uint16{"_asap._tcp": 3863, "_enrp._tcp": 9901}[name]
		switch {
		case q.Type == dnsmessage.TypeSRV && port != 0:
			target := dnsmessage.MustNewName(host + ".registrar." + domain + ".")
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.SRVResource{Weight: 50, Port: port, Target: target}})
		case q.Type == dnsmessage.TypeA && (name == host || q.Name.String() == "registrar."+domain+"."):
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: [4]byte(net.ParseIP(at).To4())}})
		}
	}
	m.Response, m.Additionals = true, nil
	if len(m.Answers) == 0 && !(known && q.Type == dnsmessage.TypeAAAA) {
		m.RCode = dnsmessage.RCodeNameError
	}
}

// publish waits until a registrar is ready, and then has it in the Service, as Kubernetes does.
func (c *cluster) publish(p *pod) {
	c.Helper()
	p.wantStatus("/readyz", 200)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.service[p.name] = p.at
}

func (c *cluster) withdraw(p *pod) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.service, p.name)
}

// pod is a program of an image at an address of its own.
type pod struct {
	*cluster
	name, at string
	cmd      *exec.Cmd
	output   lab.Output
	ended    chan struct{}
	err      error // once it has ended
}

// start starts a container's program, in an empty root directory. Where it would have the port of all addresses, it has that of
// its own one.
func (c *cluster) start(name string, container container) *pod {
	c.Helper()
	if c.pods++; c.pods > maxPods {
		c.Fatal("too many pods")
	}
	p := &pod{cluster: c, name: name, at: address(c.pods + 1), ended: make(chan struct{})}
	root := c.TempDir()
	program := container.program(c.T)
	if err := os.Link(filepath.Join(c.bin, program), root+program); err != nil {
		c.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(root+"/etc", 0o755), os.WriteFile(root+"/etc/resolv.conf", []byte(resolvConf), 0o644)); err != nil {
		c.Fatal(err)
	}
	p.cmd = &exec.Cmd{Path: program, Args: []string{program}, Dir: "/", Env: []string{}, Stdout: &p.output, Stderr: &p.output}
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	for _, arg := range container.Args {
		if port := listens(arg); port != "" {
			arg = strings.TrimSuffix(arg, ":"+port) + p.at + ":" + port
		}
		p.cmd.Args = append(p.cmd.Args, arg)
	}
	if err := p.cmd.Start(); err != nil {
		c.Fatalf("%s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	c.Cleanup(func() {
		p.cmd.Process.Kill() // fails if it has ended
		<-p.ended
		if c.Failed() {
			c.Logf("%s at %s:\n%s", name, p.at, p.output.String())
		}
	})
	return p
}

// wait waits for a minute at most.
func (p *pod) wait(what string, ready func() bool) {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.Fatalf("%s at %s: no %s", p.name, p.at, what)
		}
	}
}

// wantStatus probes as the kubelet does, until it has the status.
func (p *pod) wantStatus(path string, want int) {
	p.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	p.wait(fmt.Sprintf("%d from %s", want, path), func() bool {
		resp, err := client.Get("http://" + p.at + ":8080" + path)
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == want
	})
}

// terminate ends a pod as the kubelet does, which wants it to end by itself.
func (p *pod) terminate() {
	p.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.Error(err)
	}
	if err := p.end(); err != nil {
		p.Errorf("%s ends with %v", p.name, err)
	}
}

// end waits for the end of a pod.
func (p *pod) end() error {
	ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
	defer cancel()
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
