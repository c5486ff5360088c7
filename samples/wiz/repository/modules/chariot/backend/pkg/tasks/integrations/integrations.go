// Package integrations knows every integration there is.
package integrations

import (
	"example.com/chariot/backend/pkg/model"
	"example.com/chariot/backend/pkg/tasks"
	"example.com/chariot/backend/pkg/tasks/integrations/acme"
)

// factories lists the integrations; a new one is registered here, in alphabetical order.
var factories = []tasks.Factory{
	acme.New,
}

// For returns the integration that the job is meant for.
func For(job *model.Job) (tasks.Capability, bool) {
	for _, factory := range factories {
		capability := factory(job)
		if capability.Match() {
			return capability, true
		}
	}
	return nil, false
}
