package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// criMain asks a container runtime directly, without a kubelet: `cri SOCKET ps|remove-all`.
func criMain(args []string) {
	verbs := map[string]func(context.Context, runtime.RuntimeServiceClient) error{"ps": list, "remove-all": removeAll}
	if len(args) != 2 || verbs[args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: kubeall cri SOCKET ps|remove-all")
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := grpc.NewClient("unix://"+args[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err == nil {
		defer connection.Close()
		err = verbs[args[1]](ctx, runtime.NewRuntimeServiceClient(connection))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func list(ctx context.Context, client runtime.RuntimeServiceClient) error {
	found, err := client.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	for _, each := range found.Items {
		fmt.Println(each.Id[:13], each.State, each.Metadata.Namespace+"/"+each.Metadata.Name)
	}
	return nil
}

// removeAll stops every pod, so that CNI takes its network down, and removes it. All at once: one that is slow to
// stop holds up no other.
func removeAll(ctx context.Context, client runtime.RuntimeServiceClient) error {
	found, err := client.ListPodSandbox(ctx, &runtime.ListPodSandboxRequest{})
	if err != nil {
		return err
	}
	ended := make(chan error)
	for _, each := range found.Items {
		go func() { ended <- remove(ctx, client, each.Id) }()
	}
	var failed error
	for range found.Items {
		failed = errors.Join(failed, <-ended)
	}
	return failed
}

func remove(ctx context.Context, client runtime.RuntimeServiceClient, id string) error {
	if _, err := client.StopPodSandbox(ctx, &runtime.StopPodSandboxRequest{PodSandboxId: id}); err != nil {
		return err
	}
	_, err := client.RemovePodSandbox(ctx, &runtime.RemovePodSandboxRequest{PodSandboxId: id})
	return err
}
