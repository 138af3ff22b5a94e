// The smallest Node function.
//
//     fnrun deploy tools/examples/hello-node
//     fnrun invoke hello-node --payload '{"name": "Ada"}'

let calls = 0

export async function handler(event, context) {
  calls += 1
  console.log(`call ${calls}, ${context.getRemainingTimeInMillis()} ms left`)
  return { hello: event.name ?? 'world', from: `Node ${process.versions.node}`, calls }
}
