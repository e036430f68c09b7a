// Command twin starts a FineTuneJob's first stage as an operator written with controller-runtime
// does: one status update, one Job. It is what the operator's speed and memory are measured
// against, and nothing else: it looks at no outcome, has no lease and makes no live read.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// FineTuneJob has of the kind what the twin needs; the rest stays as it came.
type FineTuneJob struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              runtime.RawExtension `json:"spec"`
	Status            Status               `json:"status,omitempty"`
}

// Status is the record of the first attempt; as bytes, so that nothing of it is lost.
type Status struct {
	Raw json.RawMessage `json:"-"`
}

// MarshalJSON gives the record as it is.
func (s Status) MarshalJSON() ([]byte, error) {
	if s.Raw == nil {
		return []byte("{}"), nil
	}
	return s.Raw, nil
}

// UnmarshalJSON keeps the record as it comes.
func (s *Status) UnmarshalJSON(data []byte) error {
	s.Raw = append(json.RawMessage(nil), data...)
	return nil
}

func (s Status) hasRun() bool {
	var told struct {
		Run *struct{} `json:"run"`
	}
	return json.Unmarshal(s.Raw, &told) == nil && told.Run != nil
}

// DeepCopyObject as generated code would.
func (in *FineTuneJob) DeepCopyObject() runtime.Object {
	out := &FineTuneJob{TypeMeta: in.TypeMeta}
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	in.Spec.DeepCopyInto(&out.Spec)
	out.Status.Raw = append(json.RawMessage(nil), in.Status.Raw...)
	return out
}

// FineTuneJobList is a page of them.
type FineTuneJobList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []FineTuneJob `json:"items"`
}

// DeepCopyObject as generated code would.
func (in *FineTuneJobList) DeepCopyObject() runtime.Object {
	out := &FineTuneJobList{TypeMeta: in.TypeMeta}
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	for i := range in.Items {
		out.Items = append(out.Items, *in.Items[i].DeepCopyObject().(*FineTuneJob))
	}
	return out
}

// The names and the uid in the templates, as bench/scale/bodies.py writes them.
const (
	nameInTemplate = "name-of-the-job"
	uidInTemplate  = "00000000-1111-2222-3333-444444444444"
)

type twin struct {
	client.Client
	status, job string
	child       string
}

func (t *twin) filled(template string, of *FineTuneJob) string {
	return strings.NewReplacer(
		t.child, of.Name+"-r1-prepare-1", nameInTemplate, of.Name, uidInTemplate, string(of.UID),
	).Replace(template)
}

// Reconcile records the attempt and creates its Job.
func (t *twin) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object FineTuneJob
	if err := t.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !object.Status.hasRun() {
		object.Status.Raw = json.RawMessage(t.filled(t.status, &object))
		if err := t.Status().Update(ctx, &object); err != nil {
			return ctrl.Result{}, err
		}
		log.FromContext(ctx).Info("recorded the run")
	}
	var known batchv1.JobList
	owned := client.MatchingFields{ownerIndex: string(object.UID)}
	err := t.List(ctx, &known, client.InNamespace(object.Namespace), owned)
	if err != nil || len(known.Items) > 0 {
		return ctrl.Result{}, err
	}
	var job batchv1.Job
	if err := json.Unmarshal([]byte(t.filled(t.job, &object)), &job); err != nil {
		return ctrl.Result{}, err
	}
	if err := t.Create(ctx, &job); err != nil && !apierrors.IsAlreadyExists(err) {
		return ctrl.Result{}, err
	}
	log.FromContext(ctx).Info("created the Job", "name", job.Name)
	return ctrl.Result{}, nil
}

// ownerIndex finds the Jobs of an object, as the Kubebuilder book does.
const ownerIndex = ".metadata.controller"

func ownerOf(job client.Object) []string {
	owner := metav1.GetControllerOf(job)
	if owner == nil || owner.Kind != "FineTuneJob" {
		return nil
	}
	return []string{string(owner.UID)}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	kubeconfig := flag.String("credentials", "", "a kubeconfig")
	namespace := flag.String("watch", "", "the namespace to watch")
	health := flag.String("health", "", "address of /readyz")
	status := flag.String("status", "", "file with the status of a start")
	job := flag.String("job", "", "file with the Job of a start")
	child := flag.String("child", "", "the Job's name in that file")
	workers := flag.Int("workers", 10, "reconciles at once")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	templates := [2]string{}
	for i, path := range []string{*status, *job} {
		read, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		templates[i] = string(read)
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1 // no limit of its own
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme(),
		Cache:                  cache.Options{DefaultNamespaces: map[string]cache.Config{*namespace: {}}},
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: *health,
	})
	if err != nil {
		return err
	}
	if err := manager.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	err = manager.GetFieldIndexer().IndexField(
		context.Background(), &batchv1.Job{}, ownerIndex, ownerOf)
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(manager).
		For(&FineTuneJob{}).
		Owns(&batchv1.Job{}).
		WithOptions(controller.Options{MaxConcurrentReconciles: *workers}).
		Complete(&twin{manager.GetClient(), templates[0], templates[1], *child})
	if err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}

func scheme() *runtime.Scheme {
	known := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(known))
	group := schema.GroupVersion{Group: "tunekeeper.dev", Version: "v1alpha1"}
	known.AddKnownTypes(group, &FineTuneJob{}, &FineTuneJobList{})
	metav1.AddToGroupVersion(known, group)
	return known
}
