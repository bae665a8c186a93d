package scripting

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// unpack unpacks a tar archive, compressed by gzip, bzip2 or not at all, into a directory, which nothing of it
// leaves: a name, or a link on its way, that leads elsewhere is an error, and so is what is neither file,
// directory nor link.
func unpack(ctx context.Context, archive, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := decompress(contextReader{ctx, f})
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	files := tar.NewReader(r)
	for n := 0; ; n++ {
		header, err := files.Next()
		if err == io.EOF && n == 0 {
			return errors.New("the archive is empty")
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackEntry(root, header, files); err != nil {
			return fmt.Errorf("%q: %w", header.Name, err)
		}
	}
}

// decompress tells by its first bytes how r is compressed.
func decompress(r io.Reader) (io.Reader, error) {
	b := bufio.NewReader(r)
	start, err := b.Peek(6)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		return gzip.NewReader(b)
	case bytes.HasPrefix(start, []byte("BZh")):
		return bzip2.NewReader(b), nil
	case bytes.HasPrefix(start, []byte("\xfd7zXZ\x00")):
		return nil, errors.New("it is compressed by xz: use gzip or bzip2")
	}
	return b, nil
}

func unpackEntry(root *os.Root, header *tar.Header, content io.Reader) error {
	name := path.Clean(header.Name)
	permissions := header.FileInfo().Mode().Perm()
	switch header.Typeflag {
	case tar.TypeDir:
		if name == "." {
			return nil
		}
		return root.MkdirAll(name, permissions|0o700)
	case tar.TypeReg, tar.TypeSymlink, tar.TypeLink:
	case tar.TypeXGlobalHeader:
		return nil
	default:
		return fmt.Errorf("an entry of type %q cannot be unpacked", header.Typeflag)
	}
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	// A later entry replaces an earlier one, and does not write through it.
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch header.Typeflag {
	case tar.TypeSymlink:
		return root.Symlink(header.Linkname, name)
	case tar.TypeLink:
		return root.Link(path.Clean(header.Linkname), name)
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, permissions|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return root.Chtimes(name, header.ModTime, header.ModTime)
}

// contextReader stops reading when its context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
