package protobuf

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/apipb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// TestIsRecursive: only types whose values can nest without end are walked each time they are written.
func TestIsRecursive(t *testing.T) {
	c := new(codec)
	for _, tc := range []struct {
		why  string
		m    proto.Message
		want bool
	}{
		{"no fields", &emptypb.Empty{}, false},
		{"one type reached on two ways", &apipb.Api{}, false},
		{"contains itself at once", &descriptorpb.DescriptorProto{}, true},
		{"contains itself through others", &structpb.ListValue{}, true},
		{"contains itself through the values of a map", &structpb.Struct{}, true},
		{"contains one that contains itself", &descriptorpb.FileDescriptorProto{}, true},
		{"may be extended by anything", &descriptorpb.EnumValueOptions{}, true},
	} {
		for range 2 { // the second answer comes from memory
			if got := c.isRecursive(tc.m.ProtoReflect().Descriptor()); got != tc.want {
				t.Errorf("%T, %s: recursive: %t", tc.m, tc.why, got)
			}
		}
	}
}
