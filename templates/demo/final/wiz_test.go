package wiz

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/chariot/backend/pkg/model"
)

// vendor answers like Wiz: two pages of one asset each, the second one deleted and in a lab.
func vendor(t *testing.T) *httptest.Server {
	t.Helper()
	web := `{"id":"a-1","name":"web","type":"VIRTUAL_MACHINE","status":"RUNNING","hostname":"Web.Example.com."}`
	lab := `{"id":"a-2","name":"lab","type":"BUCKET","status":"DELETED","hostname":"box.lab.example.com"}`
	answers := map[string]string{
		"/me":                         `{"id":"u-1","tenant":"example"}`,
		"/assets?limit=100":           `{"items":[` + web + `],"nextCursor":"c2"}`,
		"/assets?cursor=c2&limit=100": `{"items":[` + lab + `],"nextCursor":""}`,
		"/assets/a-1":                 web,
		"/assets/a-2":                 lab,
		"/assets/a-1/findings?limit=100": `{"items":[{"id":"f-1","severity":"CRITICAL"}],
			"nextCursor":"f2"}`,
		"/assets/a-1/findings?cursor=f2&limit=100": `{"items":[{"id":"f-2","severity":"LOW"}]}`,
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

func job(t *testing.T, token string, settings map[string]string) *model.Job {
	t.Helper()
	return model.NewJob("wiz", map[string]string{"url": vendor(t).URL, "token": token}, settings)
}

func TestInvokeSendsWhatTheFilterLetsThrough(t *testing.T) {
	j := job(t, "good", map[string]string{"min_severity": "medium", "skip_domain": "lab.example.com"})
	if err := New(j).Invoke(context.Background()); err != nil {
		t.Fatal(err)
	}
	sent := j.Sent()
	if len(sent) != 2 {
		t.Fatalf("sent %d entities, want the web asset and its one finding: %v", len(sent), sent)
	}
	if asset, ok := sent[0].(*model.Asset); !ok || asset.Key != "a-1" {
		t.Errorf("first sent %#v", sent[0])
	}
	if risk, ok := sent[1].(*model.Risk); !ok || risk.Severity != model.SeverityCritical {
		t.Errorf("then sent %#v", sent[1])
	}
}

func TestInvokeStopsOnBadCredentials(t *testing.T) {
	j := job(t, "bad", nil)
	if err := New(j).Invoke(context.Background()); err == nil {
		t.Fatal("no error")
	}
	if sent := j.Sent(); len(sent) != 0 {
		t.Errorf("sent %v", sent)
	}
}

func TestCheckAffiliationAsksTheVendor(t *testing.T) {
	capability := New(job(t, "good", nil))
	for id, want := range map[string]bool{"a-1": true, "a-2": false, "a-9": false} {
		got, err := capability.CheckAffiliation(context.Background(), model.NewAsset(id, id))
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v; want %v", id, got, err, want)
		}
	}
}
