package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"
)

// A definer defines flags, each with its environment variable. kingpin's own way looks into the process's environment,
// and its complaints don't say whose value is wrong.
type definer struct {
	env    func(string) (string, bool)
	prefix string         // of the variables, after LEAT_
	set    []func() error // to be called after parsing
}

// A flagger is an application or a command.
type flagger interface {
	Flag(name, help string) *kingpin.FlagClause
}

// given is what the command line gives for one flag, as kingpin's value.
type given struct {
	texts      []string
	many, bool bool
}

func (g *given) Set(text string) error { g.texts = append(g.texts, text); return nil }
func (g *given) String() string        { return strings.Join(g.texts, ",") }
func (g *given) IsCumulative() bool    { return g.many }
func (g *given) IsBoolFlag() bool      { return g.bool }

var variableName = strings.NewReplacer(".", "_", "-", "_")

// define defines a flag. After parsing set gets what the command line gives, else the variable, else the fallback.
func (d *definer) define(on flagger, g *given, name, placeholder, fallback, help string, set func([]string) error) {
	flag, variable := d.flag(on, g, name, help)
	flag.PlaceHolder(placeholder)
	d.set = append(d.set, func() error {
		texts, whose := d.said(g, name, variable)
		if texts == nil {
			texts = []string{fallback}
		}
		if err := set(texts); err != nil {
			return fmt.Errorf("%s: %w", whose, err)
		}
		return nil
	})
}

// flag makes a flag known, with its variable.
func (d *definer) flag(on flagger, g *given, name, help string) (flag *kingpin.FlagClause, variable string) {
	variable = "LEAT_" + d.prefix + strings.ToUpper(variableName.Replace(name))
	flag = on.Flag(name, fmt.Sprintf("%s ($%s)", help, variable))
	flag.SetValue(g)
	return flag, variable
}

// said returns what the command line gives for a flag, else the variable, else nil, and whose word it is.
func (d *definer) said(g *given, name, variable string) (texts []string, whose string) {
	if g.texts != nil {
		return g.texts, "--" + name
	}
	value, ok := d.env(variable)
	switch {
	case !ok || value == "":
		return nil, variable
	case g.many:
		return strings.Split(value, ","), variable
	}
	return []string{value}, variable
}

// text defines a flag with one value. Without a placeholder the help shows the fallback.
func (d *definer) text(on flagger, name, placeholder, fallback string, set func(string) error, help string) {
	if placeholder == "" {
		placeholder = fallback
	}
	d.define(on, new(given), name, placeholder, fallback, help, func(texts []string) error { return set(texts[0]) })
}

// texts defines a flag that can be given several times; the variable has commas.
func (d *definer) texts(on flagger, name, fallback string, set func([]string) error, help string) {
	d.define(on, &given{many: true}, name, fallback, fallback, help, set)
}

// bool defines a flag that is off by default.
func (d *definer) bool(on flagger, name string, into *bool, help string) {
	d.define(on, &given{bool: true}, name, "", "false", help, func(texts []string) error { return parseBool(texts[0], into) })
}

// The readers of values.

func text(into *string) func(string) error {
	return func(text string) error { *into = text; return nil }
}

func folder(into *string) func(string) error {
	return func(text string) error {
		if !strings.HasPrefix(text, "/") {
			return errors.New("must be a path that begins with /")
		}
		*into = text
		return nil
	}
}

func choice(into *string, choices ...string) func(string) error {
	return func(text string) error {
		*into = text
		return oneOf(text, strings.Join(choices, ","), slices.Contains(choices, text))
	}
}

func duration(into *time.Duration) func(string) error {
	return func(text string) (err error) { *into, err = parseDuration(text); return err }
}

func whole(into *int) func(string) error {
	return func(text string) error {
		n, err := strconv.ParseUint(text, 10, 32)
		if err != nil || n > math.MaxInt32 {
			return errors.New("must be a whole number, 0 or more")
		}
		*into = int(n)
		return nil
	}
}

// An Owner is whose a file is.
type Owner struct{ UID, GID int }

func owner(into *Owner) func(string) error {
	return func(text string) error {
		uid, gid, _ := strings.Cut(text, ":")
		u, errUser := strconv.ParseUint(uid, 10, 31)
		g, errGroup := strconv.ParseUint(gid, 10, 31)
		if errUser != nil || errGroup != nil {
			return errors.New("must be UID:GID, both numbers")
		}
		*into = Owner{int(u), int(g)}
		return nil
	}
}

func listen(into *[]string) func([]string) error {
	return func(texts []string) error {
		for _, text := range texts {
			bits, address := 16, text
			if rest, vsock := strings.CutPrefix(text, "vsock://"); vsock {
				bits, address = 32, rest
			}
			_, port, err := net.SplitHostPort(address)
			if _, errPort := strconv.ParseUint(port, 10, bits); err != nil || errPort != nil {
				return errors.New("must be HOST:PORT, :PORT or [IPv6]:PORT")
			}
		}
		*into = texts
		return nil
	}
}
