// Reads a photograph from the object store and writes thumbnails of it back.
//
//     tools/dev/examples thumbnail-node          (npm ci: sharp and the AWS SDK)
//     fnrun deploy tools/examples/thumbnail-node
//     aws s3 mb s3://photos && aws s3 cp flower.jpg s3://photos/
//     fnrun invoke thumbnail-node --payload '{"bucket": "photos", "key": "flower.jpg"}'

import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import sharp from 'sharp'

// The SDK finds the object store by AWS_ENDPOINT_URL, which fnrun sets for each function.
const s3 = new S3Client({ forcePathStyle: true })
sharp.cache(false)
sharp.concurrency(1)

async function putThumbnail(bucket, key, image, width) {
  const { data, info } = await sharp(image).rotate().resize({ width }).jpeg({ quality: 80 }).toBuffer({ resolveWithObject: true })
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: data, ContentType: 'image/jpeg' }))
  return { key, width: info.width, height: info.height, bytes: info.size }
}

export async function handler({ bucket, key, widths = [320, 160, 64] }) {
  const object = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
  const image = await object.Body.transformToByteArray()
  const { format, width, height } = await sharp(image).metadata()

  const thumbnails = []
  for (const w of widths) {
    thumbnails.push(await putThumbnail(bucket, `thumbnails/${w}/${key}`, image, w))
  }
  return { photograph: { key, format, width, height, bytes: image.length }, thumbnails }
}
