package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// startCluster returns once the cluster can run a pod in the namespace default.
func startCluster(ctx context.Context, children *children, dir, name string) error {
	home := filepath.Join(dir, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return fmt.Errorf("a cluster starts empty, give another --dir: %w", err)
	}
	creds, err := makeCredentials(home)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(ctx, dir, name)
	if err != nil {
		return err
	}
	server, err := startAPIServer(ctx, children, dir, name, etcd, creds)
	if err != nil {
		return err
	}
	if err := creds.writeKubeconfig(server); err != nil {
		return err
	}
	if err := startControllerManager(children, dir, name, creds); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", creds.kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 1000, 1000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := createNode(ctx, client, serveLogs(ctx, client)); err != nil {
		return fmt.Errorf("creating the node: %w", err)
	}
	playKubelet(ctx, client)
	return waitForServiceAccount(ctx, client)
}

func startControllerManager(children *children, dir, name string, creds credentials) error {
	child, err := children.start(dir, name, "kube-controller-manager",
		"--kubeconfig="+creds.kubeconfig,
		"--service-account-private-key-file="+creds.serviceAccountKey,
		"--root-ca-file="+creds.ca(),
		"--leader-elect=false",
		"--secure-port=0",
		// Its defaults (20 a second) would make large applications wait for nothing.
		"--kube-api-qps=1000", "--kube-api-burst=1000",
		// Nobody renews the node's lease: these two would evict all pods after minutes.
		"--controllers=*,-node-lifecycle-controller,-taint-eviction-controller",
	)
	if err != nil {
		return err
	}
	children.mustLive(child)
	return nil
}

// createNode registers the one node that all pods run on, whose kubelet is asked for logs at the port.
func createNode(ctx context.Context, client kubernetes.Interface, port int32) error {
	nodes := client.CoreV1().Nodes()
	node, err := nodes.Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName, Labels: map[string]string{
			corev1.LabelHostname: nodeName, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		}},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now(), Reason: "KubeletReady",
			}},
			Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	// Admission taints every new node as not ready, and DaemonSets would avoid it for ever.
	node.Spec.Taints = nil
	_, err = nodes.Update(ctx, node, metav1.UpdateOptions{})
	return err
}

// waitForServiceAccount waits for what pods need and the controller manager makes last.
func waitForServiceAccount(ctx context.Context, client kubernetes.Interface) error {
	for {
		_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
