# docker build -t plimsoll .
# docker run -p 8787:8787 -v plimsoll-data:/var/lib/plimsoll plimsoll
FROM node:24.21.0-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
COPY scripts ./scripts
RUN ["npm", "ci"]
COPY tsconfig.base.json tsconfig.build.json ./
COPY README.md LICENSE CHANGELOG.md SECURITY.md ./
COPY src ./src
RUN ["npm", "run", "build"]

# What the package needs to run, from the same lock. The pinned Node is an optional dependency; the image brings its own.
FROM node:24.21.0-slim AS dependencies
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN ["npm", "ci", "--omit=dev", "--omit=optional"]

FROM node:24.21.0-slim
RUN ["install", "--directory", "--owner=node", "--group=node", "--mode=0700", "/var/lib/plimsoll"]
COPY docker/plimsoll.yaml /etc/plimsoll/plimsoll.yaml
COPY --from=dependencies /build/node_modules /opt/plimsoll/node_modules
COPY --from=build /build/dist /opt/plimsoll
ENV NODE_ENV=production PLIMSOLL_CONFIG=/etc/plimsoll/plimsoll.yaml PLIMSOLL_DATA=/var/lib/plimsoll PLIMSOLL_PORT=8787
VOLUME /var/lib/plimsoll
WORKDIR /var/lib/plimsoll
USER node
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PLIMSOLL_PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "--no-allocation-site-pretenuring", "/opt/plimsoll/cli/main.js"]
CMD ["serve"]
