package wiz

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// pageSize is the largest page the API gives.
	pageSize = 100
	// maxBody bounds what is read of one answer, in bytes.
	maxBody = 16 << 20
	// maxTries bounds how often one request is sent while the rate limit holds.
	maxTries = 3
	// maxWait bounds one pause for the rate limit.
	maxWait = 30 * time.Second
)

var (
	// errNotFound says that the vendor does not know the object.
	errNotFound = errors.New("not found")
	// errRateLimited says that the rate limit held through every try.
	errRateLimited = errors.New("rate limited")
)

type wizClient struct {
	http  *http.Client
	base  string
	token string
}

// NewClient returns a client that gives up on a request after 30 seconds.
func NewClient(base, token string) *wizClient {
	return &wizClient{
		http:  &http.Client{Timeout: 30 * time.Second},
		base:  strings.TrimSuffix(base, "/"),
		token: token,
	}
}

// GetCurrentUser returns whom the token belongs to.
func (c *wizClient) GetCurrentUser(ctx context.Context) (*WizUser, error) {
	var user WizUser
	if err := c.get(ctx, "/me", nil, &user); err != nil {
		return nil, fmt.Errorf("get current user: %w", err)
	}
	return &user, nil
}

// ListAssets returns one page of assets; cursor is empty for the first.
func (c *wizClient) ListAssets(ctx context.Context, cursor string) (*WizAssetPage, error) {
	var page WizAssetPage
	if err := c.get(ctx, "/assets", pageQuery(cursor), &page); err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	return &page, nil
}

// GetAsset returns one asset, or an error that is errNotFound.
func (c *wizClient) GetAsset(ctx context.Context, id string) (*WizAsset, error) {
	if id == "" {
		return nil, fmt.Errorf("get asset without an id: %w", errNotFound)
	}
	var asset WizAsset
	if err := c.get(ctx, "/assets/"+url.PathEscape(id), nil, &asset); err != nil {
		return nil, fmt.Errorf("get asset %s: %w", id, err)
	}
	return &asset, nil
}

// ListFindings returns one page of an asset's findings; cursor is empty for the first.
func (c *wizClient) ListFindings(ctx context.Context, assetID, cursor string) (*WizFindingsResponse, error) {
	path := "/assets/" + url.PathEscape(assetID) + "/findings"
	var page WizFindingsResponse
	if err := c.get(ctx, path, pageQuery(cursor), &page); err != nil {
		return nil, fmt.Errorf("list findings of %s: %w", assetID, err)
	}
	return &page, nil
}

func pageQuery(cursor string) url.Values {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	return query
}

// get sends the request again while the rate limit holds, at most maxTries times in all.
func (c *wizClient) get(ctx context.Context, path string, query url.Values, into any) error {
	for try := 1; try < maxTries; try++ {
		wait, err := c.once(ctx, path, query, into)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errRateLimited) {
			return fmt.Errorf("GET %s: %w", path, err)
		}
		slog.Info("wiz: rate limited", "path", path, "try", try, "wait", wait)
		select {
		case <-ctx.Done():
			return fmt.Errorf("GET %s: wait for the rate limit: %w", path, ctx.Err())
		case <-time.After(wait):
		}
	}
	if _, err := c.once(ctx, path, query, into); err != nil {
		return fmt.Errorf("GET %s, last try: %w", path, err)
	}
	return nil
}

// once sends the request; with errRateLimited it also says how long to wait.
func (c *wizClient) once(ctx context.Context, path string, query url.Values, into any) (time.Duration, error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, fmt.Errorf("build request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)
	request.Header.Set("Accept", "application/json")

	response, err := c.http.Do(request)
	if err != nil {
		return 0, fmt.Errorf("send request: %w", err)
	}
	defer response.Body.Close()

	remaining := response.Header.Get("X-RateLimit-Remaining")
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return 0, fmt.Errorf("status %s: %w", response.Status, errNotFound)
	case http.StatusTooManyRequests:
		return retryAfter(response.Header), fmt.Errorf("status %s: %w", response.Status, errRateLimited)
	default:
		return 0, fmt.Errorf("unexpected status %s", response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(into); err != nil {
		return 0, fmt.Errorf("decode answer: %w", err)
	}
	return 0, nil
}

// retryAfter reads the pause the vendor asks for: a second if it names none, never above maxWait.
func retryAfter(header http.Header) time.Duration {
	seconds, ok := headerNumber(header, "Retry-After")
	if !ok {
		return time.Second
	}
	return min(time.Duration(seconds)*time.Second, maxWait)
}

// headerNumber reads a header that holds a number not below zero.
func headerNumber(header http.Header, name string) (int, bool) {
	number, err := strconv.Atoi(header.Get(name))
	if err != nil || number < 0 {
		return 0, false
	}
	return number, true
}
