package servers

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// answering is a Prometheus that says the same to every query, and what it was asked.
func answering(t *testing.T, code int, body string) (*Prometheus, func() string) {
	asked := ""
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.URL.Query().Encode()
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}))
	t.Cleanup(srv.Close)
	return &Prometheus{URL: srv.URL, client: srv.Client()}, func() string { return asked }
}

func TestPrometheusQuery(t *testing.T) {
	vector := `{"status":"success","data":{"resultType":"vector","result":[
		{"metric":{"__name__":"up","job":"a"},"value":[1790000000.123,"1"]},
		{"metric":{"job":"b"},"value":[1790000000.123,"+Inf"]}]}}`
	p, asked := answering(t, 200, vector)
	got, err := p.Query(t.Context(), `up or vector(1)`, time.UnixMilli(1790000000123))
	want := []Series{
		{Labels: map[string]string{"__name__": "up", "job": "a"}, Samples: []Sample{{1790000000123, 1}}},
		{Labels: map[string]string{"job": "b"}, Samples: []Sample{{1790000000123, math.Inf(1)}}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if want := "/api/v1/query query=up+or+vector%281%29&time=1790000000.123"; asked() != want {
		t.Errorf("asked %s, want %s", asked(), want)
	}

	matrix := `{"data":{"resultType":"matrix","result":[{"metric":{},"values":[[1790000000,"0.5"],[1790000001.5,"-2"]]}]}}`
	p, asked = answering(t, 200, matrix)
	got, err = p.QueryRange(t.Context(), "x", time.Unix(1790000000, 0), time.Unix(1790000003, 0), 1500*time.Millisecond)
	want = []Series{{Labels: map[string]string{}, Samples: []Sample{{1790000000000, 0.5}, {1790000001500, -2}}}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if want := "/api/v1/query_range end=1790000003.000&query=x&start=1790000000.000&step=1.5"; asked() != want {
		t.Errorf("asked %s, want %s", asked(), want)
	}
}

func TestPrometheusQueryErrors(t *testing.T) {
	for _, tc := range []struct {
		name, body string
		code       int
		want       string
	}{
		{"refused", "parse error: unclosed left parenthesis", 400, "query up(: answer 400: parse error"},
		{"not JSON", "<html>", 200, "invalid character"},
		{"no sample", `{"data":{"result":[{"metric":{},"value":[1,"one"]}]}}`, 200, `parsing "one"`},
		{"a native histogram", `{"data":{"result":[{"metric":{},"histogram":[1,{}]}]}}`, 200, "native histograms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _ := answering(t, tc.code, tc.body)
			_, err := p.Query(t.Context(), "up(", time.Unix(0, 0))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q in it", err, tc.want)
			}
		})
	}
}
