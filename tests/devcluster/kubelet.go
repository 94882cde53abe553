package main

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

const (
	nodeName = "node-1"
	workers  = 8
)

type queue = workqueue.TypedRateLimitingInterface[cache.ObjectName]

// playKubelet takes every pod through its life, in the background. Each step is an ordinary
// reconcile: what fails, a conflict included, is tried again on the newest state.
func playKubelet(ctx context.Context, client kubernetes.Interface) {
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]())
	factory := informers.NewSharedInformerFactory(client, 0)
	pods := factory.Core().V1().Pods()
	enqueue := func(object any) { queue.Add(cache.MetaObjectToName(object.(*corev1.Pod))) }
	_, _ = pods.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
	})
	factory.Start(ctx.Done())
	for range workers {
		go work(ctx, client, pods.Lister(), queue)
	}
}

func work(ctx context.Context, client kubernetes.Interface, pods corelisters.PodLister, queue queue) {
	for {
		name, _ := queue.Get()
		pod, err := pods.Pods(name.Namespace).Get(name.Name)
		if err == nil {
			err = step(ctx, client, pod)
		}
		if err == nil || apierrors.IsNotFound(err) {
			queue.Forget(name)
		} else {
			queue.AddRateLimited(name)
		}
		queue.Done(name)
	}
}

// step does the next thing in a pod's life; its effect brings the pod back for the one after.
func step(ctx context.Context, client kubernetes.Interface, pod *corev1.Pod) error {
	pods := client.CoreV1().Pods(pod.Namespace)
	switch {
	case pod.DeletionTimestamp != nil:
		now := metav1.NewDeleteOptions(0)
		now.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
		return pods.Delete(ctx, pod.Name, *now)
	case len(pod.Spec.SchedulingGates) > 0:
		return nil
	case pod.Spec.NodeName == "" && len(pod.Spec.NodeSelector) > 0:
		next := pod.DeepCopy()
		if !unschedulable(&next.Status) {
			return nil
		}
		return reportStatus(ctx, pods, next)
	case pod.Spec.NodeName == "":
		return pods.Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: nodeName},
		}, metav1.CreateOptions{})
	}
	next := pod.DeepCopy()
	if !advance(&next.Status, &pod.Spec, ownedByJob(pod)) {
		return nil
	}
	return reportStatus(ctx, pods, next)
}

func reportStatus(ctx context.Context, pods corev1client.PodInterface, pod *corev1.Pod) error {
	if _, err := pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("status of pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return nil
}

func ownedByJob(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "Job"
}
