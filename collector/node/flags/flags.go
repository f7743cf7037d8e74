// Package flags is the command line of node_exporter's collectors, for whoever has a command line of their own.
//
// node_exporter keeps the settings of its collectors in global variables that are bound to the global command line of
// kingpin. Nothing but this package touches either of them: All says which flags there are, Values holds what was said
// for them, and Apply hands that to node_exporter as if it stood on its command line. It is parsed there, and not just
// assigned, because node_exporter has actions that look at what was given.
//
// The settings are the process's, and a collector reads some of them when it is made, once in a process. So the last
// Apply counts for what is made after it, and nothing may be gathering during one that changes something.
package flags

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kingpin/v2"

	_ "github.com/prometheus/node_exporter/collector" // it defines the flags
)

// DisableDefaults is the flag that leaves on only the collectors that are named. In node_exporter it is its main program's.
const DisableDefaults = "collector.disable-defaults"

// The flags of paths that node_exporter has, too.
const (
	ProcFS   = "path.procfs"
	SysFS    = "path.sysfs"
	RootFS   = "path.rootfs"
	UdevData = "path.udev.data"
)

// Values are what was said on the command line: by name without dashes, bools as true and false. A flag that is
// not there has its default.
type Values map[string][]string

// A Flag is one of node_exporter's.
type Flag struct {
	Name, Help string
	Default    string // as it is written; empty for none
	Bool       bool
	Collector  bool // turns a collector on or off; the others say how one works
	Many       bool // can be given several times
	Hidden     bool // node_exporter's help leaves it out

	value kingpin.Value
}

// All returns the flags of the collectors, those of the paths not among them, in the order of their names.
func All() []Flag {
	all := []Flag{{Name: DisableDefaults, Help: "Set all collectors to disabled by default.", Default: "false", Bool: true}}
	for _, f := range kingpin.CommandLine.Model().Flags {
		if strings.HasPrefix(f.Name, "collector.") {
			many, ok := f.Value.(interface{ IsCumulative() bool })
			all = append(all, Flag{
				Name: f.Name, Help: f.Help, Default: strings.Join(f.Default, ","), Hidden: f.Hidden,
				Bool: f.IsBoolFlag(), Collector: isCollector(f.Name), Many: ok && many.IsCumulative(), value: f.Value,
			})
		}
	}
	slices.SortFunc(all, func(a, b Flag) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Check tells what is wrong with a value. Those of bools are true and false.
func (f *Flag) Check(text string) error {
	if f.Bool {
		if text != "true" && text != "false" {
			return errors.New("must be true or false")
		}
		return nil
	}
	switch kind(f.value).(type) {
	case int:
		if _, err := strconv.Atoi(text); err != nil {
			return errors.New("must be a whole number")
		}
	case time.Duration:
		// kingpin's own way of reading durations, in a place of its own.
		var trial kingpin.FlagClause
		trial.Duration()
		if err := trial.Model().Value.Set(text); err != nil {
			return errors.New("not a duration: write it like 500ms, 5s or 1m30s")
		}
	}
	return nil
}

// kind is the present value of a flag, for its type.
func kind(v kingpin.Value) any {
	if g, ok := v.(kingpin.Getter); ok {
		return g.Get()
	}
	return nil
}

var (
	applying sync.Mutex
	applied  Values // nil before the first
)

// Apply makes these the settings of node_exporter; flags without a value get their defaults. Doing it again with the
// same values changes nothing. The values must have passed Check.
func Apply(values Values) error {
	applying.Lock()
	defer applying.Unlock()
	if applied != nil && maps.EqualFunc(applied, values, slices.Equal) {
		return nil
	}
	args, err := commandLine(values)
	if err != nil {
		return err
	}
	applied = Values{} // what is not known to be in force is applied again
	reset()
	if _, err := kingpin.CommandLine.Parse(args); err != nil {
		return fmt.Errorf("node_exporter's flags: %w", err)
	}
	applied = maps.Clone(values)
	if applied == nil {
		applied = Values{}
	}
	return nil
}

// commandLine writes the values as node_exporter's command line.
func commandLine(values Values) (args []string, err error) {
	none := slices.Equal(values[DisableDefaults], []string{"true"})
	known := map[string]bool{DisableDefaults: true}
	for _, f := range kingpin.CommandLine.Model().Flags {
		known[f.Name] = true
		texts, given := values[f.Name]
		if !given && none && isCollector(f.Name) {
			texts = []string{"false"}
		}
		for _, text := range texts {
			switch {
			case !f.IsBoolFlag():
				args = append(args, "--"+f.Name+"="+text)
			case text == "true":
				args = append(args, "--"+f.Name)
			default:
				args = append(args, "--no-"+f.Name)
			}
		}
	}
	for name := range values {
		if !known[name] {
			return nil, fmt.Errorf("node_exporter's flags: there is no --%s", name)
		}
	}
	return args, nil
}

// isCollector tells the flag that turns a collector on from those that say how it works.
func isCollector(flag string) bool {
	name, ok := strings.CutPrefix(flag, "collector.")
	return ok && !strings.Contains(name, ".")
}

// Enabled are the names of the collectors that are on since the last Apply, sorted.
func Enabled() (names []string) {
	applying.Lock()
	defer applying.Unlock()
	for _, f := range kingpin.CommandLine.Model().Flags {
		if isCollector(f.Name) && f.Value.String() == "true" {
			names = append(names, strings.TrimPrefix(f.Name, "collector."))
		}
	}
	slices.Sort(names)
	return names
}

// reset empties the variables that kingpin does not set again by itself: it appends to lists, and leaves alone what has no
// default.
func reset() {
	for _, f := range kingpin.CommandLine.Model().Flags {
		switch v := kind(f.Value).(type) {
		case *[]string:
			*v = nil
		case string:
			_ = f.Value.Set("") // any text is one
		case bool:
			_ = f.Value.Set("false")
		}
	}
}
