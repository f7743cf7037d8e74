package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/leatd/leat/exporter"
	"github.com/leatd/leat/sinks/sinktest"
)

// audit asks a leatd as an operator does.
func (d *daemon) audit(more ...string) called {
	d.t.Helper()
	return call(d.t.Context(), append([]string{"audit", "--url", "http://" + d.address}, more...)...)
}

func (d *daemon) auditJSON(more ...string) *exporter.Audit {
	d.t.Helper()
	got := d.audit(append(more, "--json")...)
	a := new(exporter.Audit)
	if err := json.Unmarshal([]byte(got.stdout), a); err != nil {
		d.t.Fatalf("%v: %+v", err, got)
	}
	if a.Verdict.Lost != (got.code == exitFailed) {
		d.t.Errorf("exit code %d with the verdict %+v", got.code, a.Verdict)
	}
	return a
}

// TestAuditOfALeatd: what waits is no loss; what the store refuses is, in this life and in the next.
func TestAuditOfALeatd(t *testing.T) {
	t.Parallel()
	h, store, well := newHost(t), newDepot(t, "http").choosy(), newDepot(t, "http")
	store.answer(all(sinktest.Reply{Status: 503}))
	h.write("shop_web-0_uid/app/0.log", cri(0, "stdout", bodies(0, 50)...))
	h.write("infra_dns-0_uid/dns/0.log", cri(0, "stdout", bodies(0, 5)...))
	cfg := h.twoSinks("http", store.URL, well.URL)
	d := start(t, "--config.file", cfg)
	d.metric(55, "leat_log_delivered_lines_total", "sink=well")
	d.metric(55, "leat_log_pending_lines", "sink=central")
	got := d.audit()
	for _, words := range []string{
		"55 read = 0 delivered + 0 dropped + 55 pending", "55 read = 55 delivered + 0 dropped + 0 pending", "central, whose last request failed",
		"shop/web-0/app", "infra/dns-0/dns", "nothing lost: every line read was delivered or is pending",
	} {
		if got.code != exitOK || !strings.Contains(got.stdout, words) {
			t.Errorf("exit code %d, want %q in\n%s%s", got.code, words, got.stdout, got.stderr)
		}
	}

	store.answer(func(lines []sinktest.Line) sinktest.Reply {
		for _, l := range lines {
			if l.Namespace == "infra" {
				return sinktest.Reply{Status: 400, Body: "no"}
			}
		}
		return sinktest.Reply{}
	})
	d.metric(0, "leat_log_pending_lines")
	if got := d.audit(); got.code != exitFailed || !strings.Contains(got.stdout, "LOST: central: 5 lines dropped") ||
		!strings.Contains(got.stdout, "dropped: bad_request, 5 lines") {
		t.Errorf("%+v", got)
	}
	if a := d.auditJSON("--sink", "central"); len(a.Sinks) != 1 || a.Sinks[0].Targets[0].Name() != "infra/dns-0/dns" ||
		a.Sinks[0].SinceStart.Dropped["bad_request"].Lines != 5 || a.Sinks[0].SinceStart.Delivered.Lines != 50 {
		t.Errorf("%+v", a)
	}
	for _, fine := range [][]string{{"--sink", "well"}, {"--namespace", "shop"}} {
		if got := d.audit(fine...); got.code != exitOK || !strings.Contains(got.stdout, "nothing lost") {
			t.Errorf("%q: %+v", fine, got)
		}
	}
	d.balanced()
	d.stop()

	d = start(t, "--config.file", cfg)
	if got := d.audit(); got.code != exitFailed || !strings.Contains(got.stdout, "LOST: central: 5 lines dropped") {
		t.Errorf("in the next life: %+v", got)
	}
	if got := d.audit("--since-start"); got.code != exitOK || !strings.Contains(got.stdout, "nothing lost") {
		t.Errorf("in the next life, about that alone: %+v", got)
	}
	d.stop()
}

// TestAuditBehindAPassword: /audit stands behind what guards /metrics.
func TestAuditBehindAPassword(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("geheim"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	web := h.file("web.yaml", fmt.Sprintf("basic_auth_users: {leat: '%s'}\n", hash))
	d := start(t, "--state", h.state, "--config.file", h.file("leat.yaml", "logs: {pods: "+h.pods+"}\n"), "--web.config.file", web)
	if got := d.audit(); got.code != exitBadInput || !strings.Contains(got.stderr, "basic_auth") {
		t.Errorf("without a password: %+v", got)
	}
	client := h.file("client.yaml", "basic_auth: {username: leat, password: geheim}\n")
	if got := d.audit("--http.config.file", client); got.code != exitOK || strings.Contains(got.stdout+got.stderr, "geheim") {
		t.Errorf("with it: %+v", got)
	}
	d.stop()
	_, port, err := net.SplitHostPort(d.address)
	if err != nil {
		t.Fatal(err)
	}
	if got := call(t.Context(), "audit", "--web.listen-address", ":"+port); got.code != exitBadInput {
		t.Errorf("without a leatd: %+v", got)
	}
}

// TestLifetimeOverKills: however often leatd is killed, and although lines are then sent again, the totals count each
// line once: those of a container that ended on the way too.
func TestLifetimeOverKills(t *testing.T) {
	t.Parallel()
	h, store := newHost(t), newDepot(t, "http")
	store.torn = true
	cfg := h.config("http", store.URL)
	const kills, lines = 8, 700
	written := 0
	write := func() {
		for i, pod := range []string{"a", "b", "c"} {
			h.write(fmt.Sprintf("ns_%s_uid/app/0.log", pod), cri(written, "stdout", bodies(written, written+lines+i)...))
		}
		written += lines + 2
	}
	total := int64(0)
	for kill := range kills {
		write()
		total += 3*lines + 3
		d := start(t, "--config.file", cfg)
		// Somewhere on the way: before the first cursor is saved, between two saves, or with nothing left to do.
		store.reach(total * int64(kill+1) / kills)
		if kill == kills/2 {
			d.metric(0, "leat_log_pending_lines")
			d.metric(0, "leat_log_unread_bytes")
			if err := os.RemoveAll(filepath.Join(h.pods, "ns_b_uid")); err != nil {
				t.Fatal(err)
			}
			d.eventually("its cursor goes", func() error {
				text, err := os.ReadFile(filepath.Join(h.state, "central", "cursors.json"))
				if err == nil && !strings.Contains(string(text), `"ended":{"delivered_lines"`) {
					err = fmt.Errorf("it is %s", text)
				}
				return err
			})
		}
		d.kill()
	}
	d := start(t, "--config.file", cfg)
	want := exporter.Lifetime{Delivered: exporter.Amount{Lines: total}}
	d.eventually("the lifetime is what was written", func() error {
		a := d.auditJSON()
		got := a.Sinks[0].Lifetime
		want.Delivered.Bytes = got.Delivered.Bytes
		if got.Delivered.Lines > total {
			t.Fatalf("%d lines are counted, and %d were written", got.Delivered.Lines, total)
		}
		if got != want || a.Verdict.Lost {
			return fmt.Errorf("%+v, %+v, want %d lines", got, a.Verdict, total)
		}
		return nil
	})
	d.stop()
	if sent := store.total(); sent < total {
		t.Errorf("%d lines came of %d", sent, total)
	} else {
		t.Logf("%d lines were written, %d came", total, sent)
	}
}
