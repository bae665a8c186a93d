package scripting

import (
	"cmp"
	"container/list"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// cache keeps environments that pool users have uploaded, so that the next one need not: as files named
// by their SHA-1 hash. Those that were used longest ago go first. Its methods may be called by
// several goroutines at once.
type cache struct {
	dir        string
	temporary  bool
	maxEntries int
	maxSize    int64

	mu      sync.Mutex // not held while files are read or written
	entries map[Hash]*list.Element
	order   *list.List // of cached, used last first
	size    int64
}

type cached struct {
	hash Hash
	size int64
}

// suffix is that of RSPLIB's cache files.
const suffix = ".data"

// openCache opens the cache in a directory, with what is there; "" stands for a temporary one, which close
// removes.
func openCache(dir string, maxEntries int, maxSize int64, out *log.Logger) (*cache, error) {
	c := &cache{dir: dir, maxEntries: maxEntries, maxSize: maxSize, entries: make(map[Hash]*list.Element), order: list.New()}
	if dir == "" {
		temporary, err := os.MkdirTemp("", "rspSS-EnvironmentCache-")
		if err != nil {
			return nil, fmt.Errorf("cannot make an environment cache: %w", err)
		}
		c.dir, c.temporary = temporary, true
		return c, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot use the environment cache: %w", err)
	}
	if err := c.load(out); err != nil {
		return nil, fmt.Errorf("cannot use the environment cache: %w", err)
	}
	return c, nil
}

func (c *cache) path(hash Hash) string { return filepath.Join(c.dir, hash.String()+suffix) }

// load takes the files in, those that were used longest ago first. One whose content is not what its name says
// is left alone.
func (c *cache) load(out *log.Logger) error {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	var found []fs.FileInfo
	for _, file := range files {
		if info, err := file.Info(); err == nil && info.Mode().IsRegular() { // else it has just been removed
			found = append(found, info)
		}
	}
	slices.SortStableFunc(found, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, info := range found {
		name, ok := strings.CutSuffix(info.Name(), suffix)
		var hash Hash
		if n, err := hex.Decode(hash[:], []byte(name[:min(len(name), 2*len(hash))])); !ok || err != nil || n != len(hash) || hash.String() != name {
			continue
		}
		if actual, err := HashFile(c.path(hash)); err != nil || actual != hash {
			out.Printf("%s in the environment cache is damaged", info.Name())
			continue
		}
		if err := c.add(hash, info.Size()); err != nil {
			return err
		}
	}
	return nil
}

// get copies a cached environment to a new file, and reports whether there is one.
func (c *cache) get(hash Hash, to string) (bool, error) {
	c.mu.Lock()
	entry, ok := c.entries[hash]
	if ok {
		c.order.MoveToFront(entry)
	}
	c.mu.Unlock()
	if !ok {
		return false, nil
	}
	from := c.path(hash)
	err := copyFile(from, to)
	if errors.Is(err, fs.ErrNotExist) {
		c.forget(hash) // it was removed, maybe by somebody who uses the same directory
		return false, nil
	}
	if err != nil {
		return false, err
	}
	now := time.Now()
	_ = os.Chtimes(from, now, now) // only for the order of another day
	return true, nil
}

// put copies a file, whose hash the caller has checked, into the cache. One that is larger than the whole
// cache is left out.
func (c *cache) put(hash Hash, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.Size() > c.maxSize {
		return nil
	}
	half, err := os.CreateTemp(c.dir, "upload-")
	if err != nil {
		return err
	}
	_ = half.Close() // nothing was written
	defer os.Remove(half.Name())
	if err := copyFile(from, half.Name()); err != nil {
		return err
	}
	if err := os.Rename(half.Name(), c.path(hash)); err != nil {
		return err
	}
	return c.add(hash, info.Size())
}

// add enters a file, and removes others if there is no room for it.
func (c *cache) add(hash Hash, size int64) error {
	var removed []Hash
	c.mu.Lock()
	if entry, ok := c.entries[hash]; ok {
		c.drop(entry)
	}
	c.entries[hash] = c.order.PushFront(cached{hash, size})
	c.size += size
	for c.order.Len() > c.maxEntries || c.size > c.maxSize {
		oldest := c.order.Back()
		removed = append(removed, oldest.Value.(cached).hash)
		c.drop(oldest)
	}
	c.mu.Unlock()
	var err error
	for _, old := range removed {
		if e := os.Remove(c.path(old)); !errors.Is(e, fs.ErrNotExist) {
			err = cmp.Or(err, e)
		}
	}
	return err
}

func (c *cache) forget(hash Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if entry, ok := c.entries[hash]; ok {
		c.drop(entry)
	}
}

// drop takes an entry out; mu is held.
func (c *cache) drop(entry *list.Element) {
	e := c.order.Remove(entry).(cached)
	delete(c.entries, e.hash)
	c.size -= e.size
}

// used is how many environments the cache has, and their size.
func (c *cache) used() (entries int, size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len(), c.size
}

// close removes a temporary cache.
func (c *cache) close() error {
	if !c.temporary {
		return nil
	}
	return os.RemoveAll(c.dir)
}

// HashFile returns the hash of a file.
func HashFile(name string) (hash Hash, err error) {
	f, err := os.Open(name)
	if err != nil {
		return hash, err
	}
	defer f.Close()
	h := sha1.New()
	if _, err := io.Copy(h, f); err != nil {
		return hash, err
	}
	return Hash(h.Sum(nil)), nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
