package acme

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody bounds what is read of one answer, in bytes.
const maxBody = 16 << 20

// errNotFound says that the vendor does not know the object.
var errNotFound = errors.New("not found")

type acmeClient struct {
	http  *http.Client
	base  string
	token string
}

// NewClient returns a client that gives up on a request after 30 seconds.
func NewClient(base, token string) *acmeClient {
	return &acmeClient{
		http:  &http.Client{Timeout: 30 * time.Second},
		base:  strings.TrimSuffix(base, "/"),
		token: token,
	}
}

// GetAccount returns the account the token belongs to.
func (c *acmeClient) GetAccount(ctx context.Context) (*AcmeAccount, error) {
	var account AcmeAccount
	if err := c.get(ctx, "/account", nil, &account); err != nil {
		return nil, fmt.Errorf("get account: %w", err)
	}
	return &account, nil
}

// ListHosts returns one page of hosts; token is empty for the first.
func (c *acmeClient) ListHosts(ctx context.Context, token string) (*AcmeHostPage, error) {
	query := url.Values{}
	if token != "" {
		query.Set("page", token)
	}
	var page AcmeHostPage
	if err := c.get(ctx, "/hosts", query, &page); err != nil {
		return nil, fmt.Errorf("list hosts: %w", err)
	}
	return &page, nil
}

// GetHost returns one host, or an error that is errNotFound.
func (c *acmeClient) GetHost(ctx context.Context, id string) (*AcmeHost, error) {
	if id == "" {
		return nil, fmt.Errorf("get host without an id: %w", errNotFound)
	}
	var host AcmeHost
	if err := c.get(ctx, "/hosts/"+url.PathEscape(id), nil, &host); err != nil {
		return nil, fmt.Errorf("get host %s: %w", id, err)
	}
	return &host, nil
}

func (c *acmeClient) get(ctx context.Context, path string, query url.Values, into any) error {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+c.token)

	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%s: %w", path, errNotFound)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: unexpected status %s", path, response.Status)
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, maxBody)).Decode(into); err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}
