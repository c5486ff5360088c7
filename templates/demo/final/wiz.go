// Package wiz brings cloud resources and findings of Wiz to the platform.
package wiz

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
	// maxPages bounds the enumeration of assets: 1,000 pages of 100.
	maxPages = 1000
	// maxFindingPages bounds the findings of one asset: 50 pages of 100.
	maxFindingPages = 50
	// maxConcurrent bounds how many assets are looked at a time.
	maxConcurrent = 10
)

// Wiz is the integration, bound to one job.
type Wiz struct {
	Job    *model.Job
	Filter *filter.VMFilter
	client *wizClient
}

// New binds the integration to a job.
func New(job *model.Job) tasks.Capability {
	return &Wiz{
		Job:    job,
		Filter: filter.NewVMFilter(job),
		client: NewClient(job.Secret["url"], job.Secret["token"]),
	}
}

// Match tells whether the job is meant for Wiz.
func (w *Wiz) Match() bool {
	return w.Job.Source == "wiz"
}

// Invoke sends every asset with its findings.
func (w *Wiz) Invoke(ctx context.Context) error {
	if err := w.ValidateCredentials(ctx); err != nil {
		return fmt.Errorf("wiz: %w", err)
	}
	if err := w.enumerate(ctx); err != nil {
		return fmt.Errorf("wiz: %w", err)
	}
	return nil
}

// ValidateCredentials asks Wiz whose token it is.
func (w *Wiz) ValidateCredentials(ctx context.Context) error {
	user, err := w.client.GetCurrentUser(ctx)
	if err != nil {
		return fmt.Errorf("validate credentials: %w", err)
	}
	slog.Info("wiz: credentials are good", "tenant", user.Tenant)
	return nil
}

// CheckAffiliation asks Wiz whether the asset is still there.
func (w *Wiz) CheckAffiliation(ctx context.Context, asset *model.Asset) (bool, error) {
	found, err := w.client.GetAsset(ctx, asset.Key)
	if errors.Is(err, errNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("wiz: check affiliation: %w", err)
	}
	return found.DeletedAt == nil && found.Status != WizAssetStatusDeleted, nil
}

// enumerate walks the pages of assets.
func (w *Wiz) enumerate(ctx context.Context) error {
	cursor := ""
	for page := 1; page <= maxPages; page++ {
		assets, err := w.client.ListAssets(ctx, cursor)
		if err != nil {
			return fmt.Errorf("enumerate page %d: %w", page, err)
		}
		if err := w.processPage(ctx, assets.Items); err != nil {
			return fmt.Errorf("process page %d: %w", page, err)
		}
		cursor = assets.NextCursor
		if cursor == "" {
			break
		}
	}
	if cursor != "" {
		slog.Warn("wiz: page limit reached, assets are left out", "pages", maxPages)
	}
	return nil
}

// processPage looks at the assets of one page side by side.
func (w *Wiz) processPage(ctx context.Context, items []WizAsset) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxConcurrent)
	for i := range items {
		item := &items[i]
		group.Go(func() error {
			return w.processAsset(ctx, item)
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("process assets: %w", err)
	}
	return nil
}

// processAsset sends the asset, then its findings, each only if the filter lets it through.
func (w *Wiz) processAsset(ctx context.Context, item *WizAsset) error {
	asset := transformAsset(item)
	if w.Filter.Asset(asset) {
		return nil
	}
	w.Job.Send(asset)

	cursor := ""
	for page := 1; page <= maxFindingPages; page++ {
		findings, err := w.client.ListFindings(ctx, item.ID, cursor)
		if err != nil {
			return fmt.Errorf("process asset %s: %w", item.ID, err)
		}
		for i := range findings.Items {
			risk := transformRisk(&findings.Items[i], asset)
			if w.Filter.Risk(risk) {
				continue
			}
			w.Job.Send(risk)
		}
		cursor = findings.NextCursor
		if cursor == "" {
			break
		}
	}
	if cursor != "" {
		slog.Warn("wiz: page limit reached, findings are left out", "asset", item.ID)
	}
	return nil
}
