package scripting

import (
	"crypto/sha1"
	"log"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// content is an environment of a size, and its hash.
func content(t *testing.T, size int, fill byte) (file string, hash Hash) {
	t.Helper()
	b := make([]byte, size)
	for i := range b {
		b[i] = fill
	}
	file = filepath.Join(t.TempDir(), "environment")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, sha1.Sum(b)
}

func testCache(t *testing.T, dir string, entries int, size int64) *cache {
	t.Helper()
	c, err := openCache(dir, entries, size, log.New(t.Output(), "", 0))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cache) mustPut(t *testing.T, size int, fill byte) Hash {
	t.Helper()
	file, hash := content(t, size, fill)
	if err := c.put(hash, file); err != nil {
		t.Fatal(err)
	}
	return hash
}

func (c *cache) mustHave(t *testing.T, hash Hash, want bool) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	found, err := c.get(hash, to)
	if err != nil || found != want {
		t.Fatalf("get gives %t, %v; want %t", found, err, want)
	}
	if !found {
		return
	}
	if actual, err := HashFile(to); err != nil || actual != hash {
		t.Errorf("the copy has the hash %v, %v; want %v", actual, err, hash)
	}
}

// What was used longest ago goes first.
func TestCacheEntries(t *testing.T) {
	c := testCache(t, t.TempDir(), 2, 1000)
	a, b := c.mustPut(t, 10, 'a'), c.mustPut(t, 20, 'b')
	c.mustHave(t, a, true)
	d := c.mustPut(t, 30, 'd')
	c.mustHave(t, a, true)
	c.mustHave(t, b, false)
	c.mustHave(t, d, true)
	if entries, size := c.used(); entries != 2 || size != 40 {
		t.Errorf("%d entries, %d bytes", entries, size)
	}
	if files, err := os.ReadDir(c.dir); err != nil || len(files) != 2 {
		t.Errorf("%d files, %v", len(files), err)
	}
}

func TestCacheSize(t *testing.T) {
	c := testCache(t, t.TempDir(), 10, 100)
	a, b, d := c.mustPut(t, 40, 'a'), c.mustPut(t, 40, 'b'), c.mustPut(t, 60, 'd')
	c.mustHave(t, a, false)
	c.mustHave(t, b, true)
	c.mustHave(t, d, true)
	e := c.mustPut(t, 101, 'e')
	c.mustHave(t, e, false)
	c.mustPut(t, 60, 'd') // again
	if entries, size := c.used(); entries != 2 || size != 100 {
		t.Errorf("%d entries, %d bytes", entries, size)
	}
}

// A permanent cache is found again, in its order, with RSPLIB's names; what is damaged or not of the cache is
// neither used nor removed.
func TestCachePermanent(t *testing.T) {
	dir := t.TempDir()
	c := testCache(t, dir, 3, 1000)
	a, b, d := c.mustPut(t, 10, 'a'), c.mustPut(t, 20, 'b'), c.mustPut(t, 30, 'd')
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, d.String()+".data"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"readme", "upload-7", "00.data", a.String() + "00.data"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for hash, age := range map[Hash]time.Duration{a: time.Minute, b: time.Hour} {
		if err := os.Chtimes(filepath.Join(dir, hash.String()+".data"), time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	c = testCache(t, dir, 2, 1000)
	if entries, size := c.used(); entries != 2 || size != 30 {
		t.Errorf("%d entries, %d bytes", entries, size)
	}
	c.mustHave(t, d, false)
	e := c.mustPut(t, 10, 'e')
	c.mustHave(t, a, true)
	c.mustHave(t, b, false)
	c.mustHave(t, e, true)
	if files, err := os.ReadDir(dir); err != nil || len(files) != 7 {
		t.Errorf("%d files, %v: %v", len(files), err, files)
	}
}

// What somebody else has removed is uploaded anew.
func TestCacheFileGone(t *testing.T) {
	c := testCache(t, t.TempDir(), 2, 1000)
	a := c.mustPut(t, 10, 'a')
	if err := os.Remove(c.path(a)); err != nil {
		t.Fatal(err)
	}
	c.mustHave(t, a, false)
	if entries, size := c.used(); entries != 0 || size != 0 {
		t.Errorf("%d entries, %d bytes", entries, size)
	}
	c.mustPut(t, 10, 'a')
	c.mustHave(t, a, true)
}

func TestCacheTemporary(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c := testCache(t, "", 2, 1000)
	a := c.mustPut(t, 10, 'a')
	c.mustHave(t, a, true)
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", c.dir, err)
	}
}
