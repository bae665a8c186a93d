// Package kubernetes_test reads the manifests of this example, and runs what they say.
package kubernetes_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// object is what this example uses of Kubernetes' objects. What is not here is an error.
type object struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		ClusterIP   string
		ServiceName string
		Selector    map[string]any
		Ports       []port
		Template    struct {
			Metadata struct{ Labels map[string]any }
			Spec     struct {
				TerminationGracePeriodSeconds int
				Containers                    []container
			}
		}
	}
}

type port struct {
	Name          string
	Port          int
	ContainerPort int
}

type container struct {
	Image                         string
	Command, Args                 []string
	Ports                         []port
	ReadinessProbe, LivenessProbe *struct{ HTTPGet struct{ Path, Port string } }
}

// strictYAML is YAML to JSON, where a key that comes twice is an error.
const strictYAML = `
import json, sys, yaml
class Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(k, True) for k, _ in node.value]
        assert len(keys) == len(set(keys)), "a key twice: %s" % keys
        return super().construct_mapping(node, deep)
json.dump(list(yaml.load_all(sys.stdin, Strict)), sys.stdout)
`

// read reads a manifest.
func read(t *testing.T, file string) []object {
	t.Helper()
	if err := exec.Command("python3", "-c", "import yaml").Run(); err != nil {
		t.Skip("python3 with PyYAML is absent (Debian's python3-yaml)")
	}
	manifest, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer manifest.Close()
	cmd := exec.Command("python3", "-c", strictYAML)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = manifest, &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", file, err, &stderr)
	}
	var objects []object
	if err := json.Unmarshal(out, &objects); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return objects
}

// readKind returns the one object of a kind.
func readKind(t *testing.T, file, kind string) object {
	t.Helper()
	objects := read(t, file)
	i := slices.IndexFunc(objects, func(o object) bool { return o.Kind == kind })
	if i < 0 {
		t.Fatalf("%s has no %s", file, kind)
	}
	return objects[i]
}

// program is the path of what a container runs, in its image. images has the programs of each.
func (c container) program(t *testing.T) string {
	t.Helper()
	images := map[string][]string{"rspregistrar": {"/rspregistrar"}, "rsp-example": {"/server", "/echo"}}
	command := c.Command
	if c.Image == "rspregistrar" && command == nil {
		command = []string{"/rspregistrar"} // the image's ENTRYPOINT
	}
	if len(command) != 1 || !slices.Contains(images[c.Image], command[0]) {
		t.Fatalf("image %q has no command %q", c.Image, command)
	}
	return command[0]
}

// listens returns the port of an argument such as -http=:8080, or "".
func listens(arg string) string {
	if _, port, ok := strings.Cut(arg, "=:"); ok {
		return port
	}
	return ""
}

// Every program, option and port of the manifests exists, and what belongs together has the same name.
func TestManifests(t *testing.T) {
	dir := build(t)
	service := readKind(t, "registrar.yaml", "Service")
	if service.Spec.ClusterIP != "None" {
		t.Error("the registrars' Service is not headless")
	}
	workloads := map[string]string{"registrar.yaml": "StatefulSet", "server.yaml": "Deployment", "client.yaml": "Job"}
	for file, kind := range workloads {
		w := readKind(t, file, kind)
		c := w.Spec.Template.Spec.Containers[0]
		help, err := exec.Command(filepath.Join(dir, c.program(t)), "-help").CombinedOutput()
		if len(help) == 0 {
			t.Fatalf("%s has no help: %v", c.program(t), err)
		}
		var ports []string
		for _, arg := range c.Args {
			name, value, _ := strings.Cut(arg, "=")
			if !regexp.MustCompile(`(?m)^  ` + name + `\b`).Match(help) {
				t.Errorf("%s: %s has no option %s", file, c.program(t), name)
			}
			if (name == "-registrar" || name == "-peer") && value != service.Metadata.Name {
				t.Errorf("%s: %s, but the Service is %q", file, arg, service.Metadata.Name)
			}
			if port := listens(arg); port != "" {
				ports = append(ports, port)
			}
		}
		wantPorts(t, file, c, ports)
		labels, selector := w.Spec.Template.Metadata.Labels, w.Spec.Selector["matchLabels"]
		if selector, _ := selector.(map[string]any); kind != "Job" && labels["app"] != selector["app"] {
			t.Errorf("%s: selects %v, but the pods are %v", file, selector, labels)
		}
		if kind == "StatefulSet" && (w.Spec.ServiceName != service.Metadata.Name || service.Spec.Selector["app"] != labels["app"]) {
			t.Errorf("Service %q selects %v; the pods of %q are %v", service.Metadata.Name, service.Spec.Selector, w.Spec.ServiceName, labels)
		}
	}
}

// wantPorts wants a container's ports to be those at which its program listens, and its probes to ask there.
func wantPorts(t *testing.T, file string, c container, listening []string) {
	t.Helper()
	var named []string
	known := map[string]int{"asap": 3863, "enrp": 9901, "health": 8080}
	for _, p := range c.Ports {
		named = append(named, p.Name)
		if known[p.Name] != p.ContainerPort {
			t.Errorf("%s: port %+v", file, p)
		}
	}
	if len(named) != len(listening) {
		t.Errorf("%s: the program listens at %q, the container has %q", file, listening, named)
	}
	if c.ReadinessProbe == nil {
		return
	}
	for path, probe := range map[string]struct{ Path, Port string }{
		"/readyz": c.ReadinessProbe.HTTPGet, "/healthz": c.LivenessProbe.HTTPGet,
	} {
		if probe.Path != path || !slices.Contains(named, probe.Port) {
			t.Errorf("%s: probe %+v, want %s", file, probe, path)
		}
	}
}

var buildLine = regexp.MustCompile(`(?m)^RUN (go build .*) -o /out/ (.*)$`)

// build builds the programs as the Dockerfile says, and returns their directory.
func build(t *testing.T) string {
	t.Helper()
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	match := buildLine.FindSubmatch(dockerfile)
	if match == nil || !bytes.Contains(dockerfile, []byte("\nENV CGO_ENABLED=0\n")) {
		t.Fatal("the Dockerfile does not build as this test does")
	}
	dir := t.TempDir()
	args := strings.Fields(string(match[1]) + " -o " + dir + " " + string(match[2]))
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// Each program that an image copies is built, and each image has its programs.
func TestDockerfileCopies(t *testing.T) {
	dir := build(t)
	dockerfile, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	copies := regexp.MustCompile(`(?m)^COPY --from=build (.*) /$`).FindAllSubmatch(dockerfile, -1)
	if len(copies) != 2 {
		t.Fatalf("%d images, want 2", len(copies))
	}
	for _, c := range copies {
		for path := range strings.FieldsSeq(string(c[1])) {
			if _, err := os.Stat(filepath.Join(dir, strings.TrimPrefix(path, "/out"))); err != nil {
				t.Error(err)
			}
		}
	}
}
