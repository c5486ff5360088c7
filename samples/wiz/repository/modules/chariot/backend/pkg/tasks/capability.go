// Package tasks says what the platform asks of an integration.
package tasks

import (
	"context"

	"example.com/chariot/backend/pkg/model"
)

// Capability is one integration, bound to one job.
type Capability interface {
	// Match tells whether the job is meant for this integration.
	Match() bool
	// Invoke fetches everything and sends it. It validates the credentials before anything else.
	Invoke(ctx context.Context) error
	// ValidateCredentials asks the vendor whether the job's secret is good.
	ValidateCredentials(ctx context.Context) error
	// CheckAffiliation asks the vendor whether the asset still belongs to the customer.
	CheckAffiliation(ctx context.Context, asset *model.Asset) (bool, error)
}

// Factory binds an integration to a job.
type Factory func(job *model.Job) Capability
