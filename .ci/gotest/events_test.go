package main

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	for _, tc := range []struct {
		name   string
		events string
		want   tally
		out    string
	}{
		{name: "nothing"},
		{
			name: "passed, skipped, a benchmark's line without a test",
			events: `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"A","Output":"{\"Action\":\"pass\",\"Test\":\"quoted\"}\n"}
{"Action":"pass","Package":"p","Test":"A","Elapsed":0}
{"Action":"output","Package":"p","Test":"B","Output":"    b_test.go:1: not here\n"}
{"Action":"skip","Package":"p","Test":"B","Elapsed":0}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.1s\n"}
{"Action":"pass","Package":"p","Elapsed":0.1}
{"Action":"output","Package":"q","Output":"?   \tq\t[no test files]\n"}
{"Action":"skip","Package":"q","Elapsed":0}
`,
			want: tally{passed: 1, skipped: 1},
			out:  "    b_test.go:1: not here\nok  \tp\t0.1s\n",
		},
		{
			name: "a failed test is counted once, not again for its package",
			events: `{"Action":"output","Package":"p","Test":"A","Output":"fine\n"}
{"Action":"output","Package":"p","Test":"B","Output":"wrong\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"fail","Package":"p","Test":"B"}
{"Action":"output","Package":"p","Output":"FAIL\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`,
			want: tally{passed: 1, failed: 1},
			out:  "wrong\nFAIL\tp\t0.1s\n",
		},
		{
			name: "a package that ends in the middle of its tests",
			events: `{"Action":"output","Package":"p","Test":"A","Output":"before the end\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t0.1s\n"}
{"Action":"fail","Package":"p"}
`,
			want: tally{failed: 1},
			out:  "FAIL\tp\t0.1s\nbefore the end\n",
		},
		{
			name: "a package that doesn't build, and a line that is no event",
			events: `{"ImportPath":"p","Action":"build-output","Output":"# p\n"}
{"ImportPath":"p","Action":"build-output","Output":"p.go:1:1: syntax error\n"}
{"ImportPath":"p","Action":"build-fail"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"p"}
something else`,
			want: tally{failed: 1},
			out:  "# p\np.go:1:1: syntax error\nFAIL\tp [build failed]\nsomething else",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out strings.Builder
			got, err := read(strings.NewReader(tc.events), &out)
			if err != nil || got != tc.want || out.String() != tc.out {
				t.Errorf("got %+v, %v, %q\nwant %+v, %q", got, err, out.String(), tc.want, tc.out)
			}
		})
	}
}
