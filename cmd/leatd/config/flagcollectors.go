package config

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kingpin/v2"

	"github.com/leatd/leat/collector/node/flags"
)

// node_exporter has 160 flags for its collectors. They are flags of leatd, each with its variable; --help leaves them
// out, and --help-collectors shows them.

// collectors defines those flags. What is said for one goes to into, which stays nil if nothing is said at all.
func (d *definer) collectors(on flagger, into *flags.Values) {
	for _, f := range flags.All() {
		g := &given{many: f.Many, bool: f.Bool}
		flag, variable := d.flag(on, g, f.Name, f.Help)
		flag.Hidden()
		d.set = append(d.set, func() error {
			texts, whose := d.said(g, f.Name, variable)
			if texts == nil {
				return nil
			}
			for i := range texts {
				if f.Bool {
					texts[i] = strings.ToLower(texts[i])
				}
				if err := f.Check(texts[i]); err != nil {
					return fmt.Errorf("%s: %w", whose, err)
				}
			}
			if *into == nil {
				*into = flags.Values{}
			}
			(*into)[f.Name] = texts
			return nil
		})
	}
}

const collectorsUsage = `The flags of the node's collectors. They are node_exporter's, so what is written about those holds here.
A collector that is on by default is turned off by --no-collector.NAME.

{{.Context.Flags|FlagsToTwoColumns|FormatTwoColumns}}`

// printCollectors writes what there is to know about those flags.
func printCollectors(out io.Writer) error {
	app := kingpin.New("leatd", "").UsageWriter(out).UsageTemplate(collectorsUsage)
	app.HelpFlag.Hidden()
	d := new(definer)
	for _, f := range flags.All() {
		if f.Hidden {
			continue // they are there for old scripts
		}
		help, placeholder := f.Help, "VALUE"
		switch {
		case f.Bool && f.Default == "true" && !f.Collector:
			help += " On by default."
		case f.Bool || f.Default == "":
		case len(f.Default) <= 12:
			placeholder = f.Default
		default:
			help = fmt.Sprintf("%s Default: %s", help, f.Default)
		}
		flag, _ := d.flag(app, &given{many: f.Many, bool: f.Bool}, f.Name, help)
		flag.PlaceHolder(placeholder)
	}
	context, err := app.ParseContext(nil)
	if err == nil {
		err = app.UsageForContext(context)
	}
	if err != nil {
		return fmt.Errorf("flags: print help: %w", err)
	}
	return nil
}
