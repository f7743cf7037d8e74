//go:build e2e

package servers

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func startTestOtelSink(t *testing.T, options OtelSinkOptions) *OtelSink {
	t.Helper()
	s, err := StartOtelSink(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// field is one length-delimited protobuf field of the parts joined.
func field(number int, parts ...[]byte) []byte {
	inner := bytes.Join(parts, nil)
	b := binary.AppendUvarint(nil, uint64(number)<<3|2)
	return append(binary.AppendUvarint(b, uint64(len(inner))), inner...)
}

// oneRecord is a request with one record that has a body and nothing else.
func oneRecord(body string) []byte {
	return field(1, field(2, field(2, field(5, field(1, []byte(body))))))
}

func TestOtelSink(t *testing.T) {
	s := startTestOtelSink(t, OtelSinkOptions{})
	sent := `{"resourceLogs":[{
		"resource":{"attributes":[{"key":"k8s.pod.name","value":{"stringValue":"web-0"}},
			{"key":"k8s.container.restart_count","value":{"intValue":"9007199254740993"}}]},
		"scopeLogs":[{"scope":{"name":"leat","version":"1"},"logRecords":[
			{"timeUnixNano":"1","observedTimeUnixNano":"2","severityNumber":9,"severityText":"INFO",
				"body":{"stringValue":"<first> \u0000"},"attributes":[{"key":"log.iostream","value":{"stringValue":"stderr"}}]},
			{"timeUnixNano":"1790000000123456789","body":{"bytesValue":"/wA="}},
			{}]}]}]}`
	if code, text := post(t, s.URL+"/v1/logs", "application/json", []byte(sent)); code != 200 {
		t.Fatalf("answer %d %s", code, text)
	}
	resource := map[string]any{"k8s.pod.name": "web-0", "k8s.container.restart_count": json.Number("9007199254740993")}
	scope := OtelScope{Name: "leat", Version: "1"}
	none := map[string]any{}
	want := []OtelRecord{
		{Resource: resource, Scope: scope, Time: 1, Observed: 2, Severity: 9, SeverityText: "INFO",
			BodyType: "Str", Body: "<first> \x00", Attributes: map[string]any{"log.iostream": "stderr"}},
		{Resource: resource, Scope: scope, Time: 1790000000123456789, BodyType: "Bytes", Body: "\xff\x00", Attributes: none},
		{Resource: resource, Scope: scope, BodyType: "Empty", Attributes: none},
	}
	// A body that isn't UTF-8 breaks the protocol; a test must see that it was sent.
	for _, body := range []string{"", "plain", "broken \xff\xfe"} {
		if code, text := post(t, s.URL+"/v1/logs", "application/x-protobuf", oneRecord(body)); code != 200 {
			t.Fatalf("answer %d %s", code, text)
		}
		want = append(want, OtelRecord{Resource: none, BodyType: "Str", Body: body, Attributes: none})
	}
	if code, _ := post(t, s.URL+"/v1/logs", "application/x-protobuf", []byte("no protobuf")); code != 400 {
		t.Errorf("answer %d to what is no request, want 400", code)
	}
	got, err := s.Records()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestOtelSinkKeepsRequestsWhole sends from several goroutines; each request's records must stand together, in order.
func TestOtelSinkKeepsRequestsWhole(t *testing.T) {
	s := startTestOtelSink(t, OtelSinkOptions{Dir: t.TempDir()})
	const senders, requests, records = 4, 20, 50
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for request := range requests {
				var all [][]byte
				for i := range records {
					all = append(all, field(2, field(5, field(1, fmt.Appendf(nil, "%d %d %d", sender, request, i)))))
				}
				body := field(1, field(2, all...))
				if code, text := post(t, s.URL+"/v1/logs", "application/x-protobuf", body); code != 200 {
					t.Errorf("answer %d %s", code, text)
				}
			}
		})
	}
	sending.Wait()
	got, err := s.Records()
	if err != nil || len(got) != senders*requests*records {
		t.Fatalf("%d records (%v), want %d", len(got), err, senders*requests*records)
	}
	var next [senders]int // request
	for i := 0; i < len(got); i += records {
		sender, err := strconv.Atoi(got[i].Body[:1])
		if err != nil {
			t.Fatal(err)
		}
		for j := range records {
			if want := fmt.Sprintf("%d %d %d", sender, next[sender], j); got[i+j].Body != want {
				t.Fatalf("record %d is %q, want %q", i+j, got[i+j].Body, want)
			}
		}
		next[sender]++
	}
}

func TestOtelSinkStops(t *testing.T) {
	s, err := StartOtelSink(t.Context(), OtelSinkOptions{})
	if err != nil {
		t.Fatal(err)
	}
	dir := s.process.dir
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	if code := s.process.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0", code)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there (%v)", dir, err)
	}
}

// TestNothingOutlivesAKilledTest kills a process that has started a server and looks for the server.
func TestNothingOutlivesAKilledTest(t *testing.T) {
	const child = "LEAT_TEST_CHILD_DIR"
	if dir := os.Getenv(child); dir != "" {
		s, err := StartOtelSink(t.Context(), OtelSinkOptions{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("server", s.process.cmd.Process.Pid)
		<-s.process.done // until killed
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	pid, found := strings.CutPrefix(strings.TrimSpace(line), "server ")
	if !found {
		t.Fatalf("the child says %q (%v)", line, err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		state, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || strings.Contains(string(state), ") Z ") { // gone, or dead and not yet collected
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server lives on: %s", state)
		}
	}
}
