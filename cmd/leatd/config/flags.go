package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"github.com/leatd/leat/collector/node/flags"
)

// The commands.
const (
	CommandRun      = "run"
	CommandCheck    = "check"
	CommandAudit    = "audit"
	CommandHandover = "handover"
	CommandDemo     = "demo"
	CommandVersion  = "version"
)

// DefaultListenAddress is where metrics are served if nothing else is said.
const DefaultListenAddress = ":9110"

// Flags are the command line. Every flag but --help and --version has an environment variable that holds where the flag
// is not given: LEAT_ and the flag's name, LEAT_AUDIT_ and so on for those of commands.
type Flags struct {
	Command string // one of the commands

	ConfigFile      string   // empty: DefaultFile if it exists, else the defaults
	State           string   // empty: what the file says
	ListenAddresses []string // HOST:PORT or vsock://:PORT, at least one
	WebConfigFile   string   // of exporter-toolkit; empty: plain HTTP
	LogLevel        string   // debug, info, warn or error
	LogFormat       string   // logfmt or json
	ProcFS          string
	SysFS           string
	RootFS          string // what stands before every path of the host
	UdevData        string
	Collectors      flags.Values // what was said for node_exporter's flags; nil if nothing was
	ShutdownTimeout time.Duration
	Pprof           bool

	AuditURL        string // empty: the first of ListenAddresses
	AuditHTTPConfig string // how to reach it: Prometheus' http_config; empty: plainly
	AuditSink       string // empty: all
	AuditNamespace  string // empty: all
	AuditSinceStart bool
	AuditAll        bool
	AuditJSON       bool

	HandoverTo Owner

	DemoDir      string        // empty: a temporary folder, removed at the end
	DemoDuration time.Duration // 0: until interrupted
	DemoRate     int           // lines a second; 0: the demo's own
}

// ErrHelp says that help was asked for and has been printed: there is nothing more to do.
var ErrHelp = errors.New("help was printed")

// ParseFlags reads the command line without the program's name, and the environment behind it. Help goes to out.
// An error says which flag or variable is wrong and what to do.
func ParseFlags(args []string, env func(name string) (value string, ok bool), out io.Writer) (*Flags, error) {
	app := kingpin.New("leatd", "leatd collects the logs of a node's containers and delivers every line at least once.")
	usage := &once{out: out}
	app.UsageWriter(usage).ErrorWriter(io.Discard).Terminate(func(int) { usage.done = true })
	help := false
	app.HelpFlag.Short('h').Help("Show this help.").IsSetByUser(&help)
	f := new(Flags)
	d := &definer{env: env}
	version, catalogue := d.all(app, f)

	for _, arg := range args {
		// kingpin writes its manual page and completions to the process's own output.
		if slices.Contains([]string{"--help-long", "--help-man", "--completion-bash", "--completion-script-bash", "--completion-script-zsh"}, arg) {
			return nil, fmt.Errorf("flags: unknown long flag '%s': leatd --help lists all", arg)
		}
	}
	// kingpin has default commands, but with one it overlooks that a flag at the end has no value.
	context, err := app.ParseContext(args)
	if err == nil && context.SelectedCommand == nil && !help {
		args = slices.Concat([]string{CommandRun}, args)
	}
	command, err := app.Parse(args)
	switch {
	case usage.done:
		return nil, ErrHelp
	case err != nil && strings.Contains(err.Error(), "collector."):
		return nil, fmt.Errorf("flags: %w: leatd --help-collectors lists all of those", err)
	case err != nil:
		return nil, fmt.Errorf("flags: %w: leatd --help lists all", err)
	case *version:
		command = CommandVersion
	case *catalogue:
		return nil, cmp.Or(printCollectors(out), ErrHelp)
	}
	f.Command = command
	for _, set := range d.set {
		if err := set(); err != nil {
			return nil, fmt.Errorf("flags: %w", err)
		}
	}
	return f, nil
}

// once passes on what is written until done: kingpin goes on after printing the help if it may not end the process. And it
// panics where help cannot be written, but "leatd --help | head" is no defect.
type once struct {
	out  io.Writer
	done bool
}

func (o *once) Write(p []byte) (int, error) {
	if !o.done {
		_, _ = o.out.Write(p)
	}
	return len(p), nil
}

// all defines the flags and commands.
func (d *definer) all(app *kingpin.Application, f *Flags) (version, catalogue *bool) {
	d.text(app, "config.file", "FILE", "", text(&f.ConfigFile),
		"Configuration file; without it "+DefaultFile+" if there is one, else the defaults.")
	d.text(app, "state", "DIR", "", text(&f.State),
		"Folder of cursors, in place of the configuration's (there: /var/lib/leat).")
	d.texts(app, "web.listen-address", DefaultListenAddress, listen(&f.ListenAddresses),
		"Address for metrics, health and pages, HOST:PORT or vsock://:PORT; repeatable, in the variable with commas.")
	d.text(app, "web.config.file", "FILE", "", text(&f.WebConfigFile),
		"File that turns on TLS or authentication, the same as for Prometheus exporters.")
	d.text(app, "log.level", "", "info", choice(&f.LogLevel, "debug", "info", "warn", "error"),
		"Least level of leatd's own log: debug, info, warn or error.")
	d.text(app, "log.format", "", "logfmt", choice(&f.LogFormat, "logfmt", "json"),
		"Form of leatd's own log: logfmt or json.")
	d.text(app, "path.procfs", "", "/proc", folder(&f.ProcFS),
		"Where procfs is mounted.")
	d.text(app, "path.rootfs", "", "/", folder(&f.RootFS),
		"Where the host's root is mounted; paths of logs are taken beneath it.")
	d.text(app, "path.sysfs", "", "/sys", folder(&f.SysFS),
		"Where sysfs is mounted.")
	d.text(app, "path.udev.data", "", "/run/udev/data", folder(&f.UdevData),
		"Where udev keeps what it knows of devices.")
	d.collectors(app, &f.Collectors)
	d.text(app, "shutdown.timeout", "", "25s", duration(&f.ShutdownTimeout),
		"How long leatd goes on delivering after SIGTERM; what is left is sent at the next start.")
	d.bool(app, "pprof", &f.Pprof,
		"Serve profiles under /debug/pprof (off by default).")
	catalogue = app.Flag("help-collectors", "Show the flags of the node's collectors, --[no-]collector.NAME and so on.").Bool()
	version = app.Flag("version", "Print the version, as the command does.").Bool()

	app.Command(CommandRun, "Collect and deliver until SIGTERM; the default command.")
	app.Command(CommandCheck, "Check the configuration, then say what would be read and where it would go; exits with 2 if it is wrong.")
	audit := app.Command(CommandAudit, "Ask the running leatd what became of every line; exits with 1 if something was lost, with 2 if it can't be asked.")
	demo := app.Command(CommandDemo, "Write logs of sample workloads as a node does, collect them, and show the account of every line.")
	app.Command(CommandVersion, "Print the version.")
	d.prefix = "AUDIT_"
	d.text(audit, "url", "URL", "", text(&f.AuditURL),
		"Where leatd serves its metrics; without it --web.listen-address of this machine.")
	d.text(audit, "http.config.file", "FILE", "", text(&f.AuditHTTPConfig),
		"File with TLS and authentication for that address, as Prometheus writes them (tls_config, basic_auth).")
	d.text(audit, "sink", "NAME", "", text(&f.AuditSink),
		"Only this sink.")
	d.text(audit, "namespace", "NAME", "", text(&f.AuditNamespace),
		"Only the logs of this namespace, without those that ended long ago.")
	d.bool(audit, "since-start", &f.AuditSinceStart,
		"Judge by what happened since leatd started, and not by the lifetime of its state folder.")
	d.bool(audit, "all", &f.AuditAll,
		"Show all logs and not just the worst.")
	d.bool(audit, "json", &f.AuditJSON,
		"Print it as JSON.")
	handover := app.Command(CommandHandover, "Make the state folder and give it to another user, with all that is in it: for a step that runs as root before a leatd that doesn't.")
	d.prefix = "HANDOVER_"
	d.text(handover, "to", "UID:GID", "0:0", owner(&f.HandoverTo),
		"Whose it is to be, in numbers; 0:0 is the way back.")
	d.prefix = "DEMO_"
	d.text(demo, "dir", "DIR", "", text(&f.DemoDir),
		"Folder for the demo's files, kept at the end; without it a temporary one, removed at the end.")
	d.text(demo, "duration", "", "0", duration(&f.DemoDuration),
		"How long to run, such as 30s; 0 = until Ctrl-C.")
	d.text(demo, "rate", "", "0", whole(&f.DemoRate),
		"Lines to write in a second, over all workloads; 0 = the demo's own rate.")
	return version, catalogue
}
