package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const checkout = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(checkout, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := parse(`# a comment
FROM golang AS build
RUN whatever
FROM scratch
ARG VERSION=1
LABEL a="b c" \
      d="$VERSION-e" f="${VERSION}"
COPY --from=build /x /y/x
USER 0:0
EXPOSE 80 53/udp
entrypoint ["/y/x", "z"]`, map[string]string{"VERSION": "2"})
	want := &stage{
		args:       map[string]string{"VERSION": "2"},
		labels:     map[string]string{"a": "b c", "d": "2-e", "f": "2"},
		copies:     []copied{{"/x", "/y/x"}},
		user:       "0:0",
		ports:      []string{"80/tcp", "53/udp"},
		entrypoint: []string{"/y/x", "z"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const good = "FROM scratch\nCOPY --from=build /x /x\nENTRYPOINT [\"/x\"]\n"
	if _, err := parse(good, nil); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing":           "",
		"a base":            "FROM debian\nENTRYPOINT [\"/x\"]\n",
		"no entrypoint":     "FROM scratch\nCOPY --from=build /x /x\n",
		"unknown":           good + "VOLUME /data\n",
		"copy of a context": good + "COPY x /x\n",
		"copy to a folder":  good + "COPY --from=build /x /x/\n",
		"copy of two":       good + "COPY --from=build /x /y /z\n",
		"shell form":        good + "ENTRYPOINT /x\n",
		"plain label":       good + "LABEL a=b\n",
		"open label":        good + "LABEL a=\"b\n",
		"escape in a label": good + `LABEL a="b\"c"` + "\n",
	} {
		if got, err := parse(text, nil); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
	}
}

// TestDockerfile: what is made without an engine is what the Dockerfile's first stage makes.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	text := strings.ReplaceAll(read(t, "Dockerfile"), "\\\n", "")
	line := regexp.MustCompile(`(?m)^RUN CGO_ENABLED=0 GOOS=\$TARGETOS GOARCH=\$TARGETARCH go (build .*)$`).FindStringSubmatch(text)
	if line == nil {
		t.Fatal("no RUN … go build")
	}
	want := strings.Join(buildArgs("$VERSION", "/leatd"), " ")
	want = strings.Replace(want, "-s -w -X main.version=$VERSION", `"-s -w -X main.version=$VERSION"`, 1)
	if got := strings.Join(strings.Fields(line[1]), " "); got != want {
		t.Errorf("the Dockerfile runs  go %s\nmake image runs      go %s", got, want)
	}
	if !strings.Contains(text, "\nRUN go run -C deploy/image . -roots /ca-certificates.crt\n") {
		t.Error("the roots of trust are not made by this program")
	}
	source := regexp.MustCompile(`(?m)^var version = "(.*)"$`).FindStringSubmatch(read(t, "cmd/leatd/main.go"))
	if source == nil {
		t.Fatal("cmd/leatd has no version")
	}
	defaults := regexp.MustCompile(`ARG .*VERSION=(\S*)`).FindAllStringSubmatch(text, -1)
	if len(defaults) != 2 {
		t.Errorf("VERSION has %d defaults, want one for each stage", len(defaults))
	}
	for _, d := range defaults {
		if d[1] != source[1] {
			t.Errorf("the Dockerfile's VERSION is %s, that of cmd/leatd is %s", d[1], source[1])
		}
	}
}
