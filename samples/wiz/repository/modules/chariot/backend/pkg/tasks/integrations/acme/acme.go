// Package acme brings hosts and alerts of Acme Inventory to the platform.
package acme

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"example.com/chariot/backend/pkg/model"
	"example.com/chariot/backend/pkg/tasks"
	"example.com/chariot/backend/pkg/tasks/filter"
)

const (
	// maxPages bounds the enumeration: 500 pages of 200 hosts.
	maxPages = 500
	// maxConcurrent bounds how many hosts are refreshed at a time.
	maxConcurrent = 10
)

// Acme is the integration, bound to one job.
type Acme struct {
	Job    *model.Job
	Filter *filter.VMFilter
	client *acmeClient
}

// New binds the integration to a job.
func New(job *model.Job) tasks.Capability {
	return &Acme{
		Job:    job,
		Filter: filter.NewVMFilter(job),
		client: NewClient(job.Secret["url"], job.Secret["token"]),
	}
}

// Match tells whether the job is meant for Acme.
func (a *Acme) Match() bool {
	return a.Job.Source == "acme"
}

// Invoke sends every host with its alerts.
func (a *Acme) Invoke(ctx context.Context) error {
	if err := a.ValidateCredentials(ctx); err != nil {
		return fmt.Errorf("acme: %w", err)
	}
	if err := a.enumerate(ctx); err != nil {
		return fmt.Errorf("acme: %w", err)
	}
	return nil
}

// ValidateCredentials asks Acme whose token it is.
func (a *Acme) ValidateCredentials(ctx context.Context) error {
	account, err := a.client.GetAccount(ctx)
	if err != nil {
		return fmt.Errorf("validate credentials: %w", err)
	}
	slog.Info("acme: credentials are good", "account", account.ID)
	return nil
}

// CheckAffiliation asks Acme whether the host is still in use.
func (a *Acme) CheckAffiliation(ctx context.Context, asset *model.Asset) (bool, error) {
	host, err := a.client.GetHost(ctx, asset.Key)
	if errors.Is(err, errNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("acme: check affiliation: %w", err)
	}
	return host.State == AcmeHostUp, nil
}

func (a *Acme) enumerate(ctx context.Context) error {
	token := ""
	for page := 1; page <= maxPages; page++ {
		hosts, err := a.client.ListHosts(ctx, token)
		if err != nil {
			return fmt.Errorf("enumerate page %d: %w", page, err)
		}
		if err := a.processPage(ctx, hosts.Hosts); err != nil {
			return fmt.Errorf("process page %d: %w", page, err)
		}
		token = hosts.Next
		if token == "" {
			break
		}
	}
	if token != "" {
		slog.Warn("acme: page limit reached, hosts are left out", "pages", maxPages)
	}
	return nil
}

func (a *Acme) processPage(ctx context.Context, hosts []AcmeHost) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxConcurrent)
	for i := range hosts {
		id := hosts[i].ID
		group.Go(func() error {
			return a.processHost(ctx, id)
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("process hosts: %w", err)
	}
	return nil
}

// processHost fetches the host once more: the list leaves the alerts out.
func (a *Acme) processHost(ctx context.Context, id string) error {
	host, err := a.client.GetHost(ctx, id)
	if err != nil {
		return fmt.Errorf("process host: %w", err)
	}
	asset := transformHost(host)
	if a.Filter.Asset(asset) {
		return nil
	}
	a.Job.Send(asset)

	for i := range host.Alerts {
		risk := transformAlert(&host.Alerts[i], asset)
		if a.Filter.Risk(risk) {
			continue
		}
		a.Job.Send(risk)
	}
	return nil
}
