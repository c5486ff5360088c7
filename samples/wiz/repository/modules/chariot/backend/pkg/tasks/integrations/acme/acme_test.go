package acme

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/chariot/backend/pkg/model"
)

// vendor answers like Acme: two pages of one host each, one of them in a lab.
func vendor(t *testing.T) *httptest.Server {
	t.Helper()
	answers := map[string]string{
		"/account":        `{"id":"acc-1","name":"Example"}`,
		"/hosts":          `{"hosts":[{"id":"h-1","label":"web"}],"next":"two"}`,
		"/hosts?page=two": `{"hosts":[{"id":"h-2","label":"lab"}],"next":""}`,
		"/hosts/h-1": `{"id":"h-1","label":"web","state":"UP","fqdn":"Web.Example.com.",
			"alerts":[{"id":"a-1","summary":"Old TLS","level":4},{"id":"a-2","summary":"Banner","level":1}]}`,
		"/hosts/h-2": `{"id":"h-2","label":"lab","state":"RETIRED","fqdn":"box.lab.example.com","alerts":[]}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		answer, known := answers[r.URL.RequestURI()]
		if !known {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	return server
}

func job(server *httptest.Server, token string, settings map[string]string) *model.Job {
	return model.NewJob("acme", map[string]string{"url": server.URL, "token": token}, settings)
}

func TestInvokeSendsWhatTheFilterLetsThrough(t *testing.T) {
	j := job(vendor(t), "good", map[string]string{"min_severity": "medium", "skip_domain": "lab.example.com"})
	if err := New(j).Invoke(context.Background()); err != nil {
		t.Fatal(err)
	}
	sent := j.Sent()
	if len(sent) != 2 {
		t.Fatalf("sent %d entities, want the web host and its one alert: %v", len(sent), sent)
	}
	asset, isAsset := sent[0].(*model.Asset)
	if !isAsset || asset.DNS != "web.example.com" {
		t.Errorf("first sent %#v, want the host web.example.com", sent[0])
	}
	risk, isRisk := sent[1].(*model.Risk)
	if !isRisk || risk.Severity != model.SeverityHigh {
		t.Errorf("then sent %#v, want a risk of high severity", sent[1])
	}
}

func TestInvokeStopsOnBadCredentials(t *testing.T) {
	j := job(vendor(t), "bad", nil)
	if err := New(j).Invoke(context.Background()); err == nil {
		t.Fatal("no error")
	}
	if sent := j.Sent(); len(sent) != 0 {
		t.Errorf("sent %v", sent)
	}
}

func TestCheckAffiliationAsksTheVendor(t *testing.T) {
	capability := New(job(vendor(t), "good", nil))
	for id, want := range map[string]bool{"h-1": true, "h-2": false, "h-9": false, "": false} {
		got, err := capability.CheckAffiliation(context.Background(), model.NewAsset(id, id))
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", id, got, err, want)
		}
	}
}
