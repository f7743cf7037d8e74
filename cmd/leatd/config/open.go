package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// DefaultFile is read where no flag names a file, if it exists.
const DefaultFile = "/etc/leat/leat.yaml"

// maxFile is how much of a file is read: a file that is larger is no configuration.
const maxFile = 1 << 20

// Open loads the configuration that the flags name, with the state folder that they name. from is the file that was
// read, "" if there is none and the defaults hold.
func (f *Flags) Open(env func(name string) (value string, ok bool)) (c *Config, from string, err error) {
	return f.open(env, DefaultFile)
}

func (f *Flags) open(env func(string) (string, bool), fallback string) (c *Config, from string, err error) {
	from = f.ConfigFile
	if from == "" {
		from = fallback
	}
	data, err := readFile(from)
	switch {
	case err == nil:
		if c, err = Load(from, data, env); err != nil {
			return nil, from, err
		}
	case f.ConfigFile == "" && errors.Is(err, fs.ErrNotExist):
		c, from = Default(env), ""
	case f.ConfigFile == "":
		return nil, from, fmt.Errorf("configuration: %w: make it readable, or name another with --config.file", err)
	default:
		return nil, from, fmt.Errorf("configuration: %w: check --config.file, or leave it out to use the defaults", err)
	}
	if f.State != "" {
		c.SetState(f.State)
	}
	return c, from, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than 1 MiB, so it is no configuration", path)
	}
	return data, err
}
