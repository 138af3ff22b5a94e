// A function with a heavy import: asks the object store for its buckets, with the AWS SDK.
//
//     tools/dev/examples aws-sdk-node            (npm ci: the AWS SDK)
//     fnrun deploy tools/examples/aws-sdk-node
//     fnrun invoke aws-sdk-node

import { ListBucketsCommand, S3Client } from '@aws-sdk/client-s3'

// The SDK finds the object store by AWS_ENDPOINT_URL, which fnrun sets for each function.
const s3 = new S3Client({ forcePathStyle: true })

export async function handler() {
  const { Buckets = [] } = await s3.send(new ListBucketsCommand({}))
  return { buckets: Buckets.map((bucket) => bucket.Name) }
}
