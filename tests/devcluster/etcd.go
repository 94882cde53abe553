package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"
)

// startEtcd runs a one-member etcd inside this process and returns its address. It listens on a
// socket, so no port can be taken, and never syncs: a cluster's data ends with its run.
func startEtcd(ctx context.Context, dir, cluster string) (string, error) {
	socket := url.URL{Scheme: "unix", Host: cluster, Path: "/etcd.sock"}
	log := filepath.Join(dir, cluster, "etcd.log")

	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, cluster, "etcd")
	config.LogOutputs = []string{log}
	config.LogLevel = "warn"
	config.UnsafeNoFsync = true
	config.ListenClientUrls = []url.URL{socket}
	config.ListenPeerUrls = nil
	// What it advertises must look like an address, though there is nobody to dial it.
	nowhere := []url.URL{{Scheme: "http", Host: "localhost:0"}}
	config.AdvertiseClientUrls, config.AdvertisePeerUrls = nowhere, nowhere
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return "", fmt.Errorf("starting etcd: %w: read %s", err, log)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return socket.String(), nil
	case err := <-etcd.Err():
		return "", fmt.Errorf("etcd ended by itself: %w: read %s", err, log)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
