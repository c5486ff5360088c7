package wiz

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// serve starts a vendor that answers with the given function.
func serve(t *testing.T, answer http.HandlerFunc) *wizClient {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return NewClient(server.URL+"/", "good")
}

func TestClientAsksForPages(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer good" {
			t.Errorf("Authorization is %q", got)
		}
		if got := r.URL.RequestURI(); got != "/assets?cursor=c2&limit=100" {
			t.Errorf("asked for %q", got)
		}
		fmt.Fprint(w, `{"items":[{"id":"a-1","name":"web"}],"nextCursor":"c3"}`)
	})
	page, err := client.ListAssets(context.Background(), "c2")
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != 1 || page.Items[0].ID != "a-1" || page.NextCursor != "c3" {
		t.Errorf("got %+v", page)
	}
}

func TestClientTriesAgainWhenRateLimited(t *testing.T) {
	tries := 0
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		tries++
		if tries < maxTries {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, `{"id":"u-1"}`)
	})
	user, err := client.GetCurrentUser(context.Background())
	if err != nil || user.ID != "u-1" {
		t.Errorf("got %+v, %v", user, err)
	}
}

func TestClientGivesUpWhenRateLimitedForGood(t *testing.T) {
	tries := 0
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		tries++
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	if _, err := client.GetCurrentUser(context.Background()); !errors.Is(err, errRateLimited) {
		t.Errorf("got %v", err)
	}
	if tries != maxTries {
		t.Errorf("tried %d times, want %d", tries, maxTries)
	}
}

func TestClientTellsWhatIsNotThere(t *testing.T) {
	client := serve(t, http.NotFound)
	for _, id := range []string{"a-9", ""} {
		if _, err := client.GetAsset(context.Background(), id); !errors.Is(err, errNotFound) {
			t.Errorf("%q: got %v", id, err)
		}
	}
}
