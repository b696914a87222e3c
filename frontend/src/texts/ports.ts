/** Ports at which a plugin looks like another product. */
export const ports = {
  title: "Ports",
  lead: (products: string) => `Clients of ${products} can be pointed to a port of its own, and work unchanged.`,
  loadFailed: "The ports could not be loaded",
  noneThere: "No port is set aside. Name some in NIMBUS_COMPAT_PORTS and start Nimbus anew.",
  allTaken: "Every port is mapped to another plugin. Free one there, or set more aside in NIMBUS_COMPAT_PORTS.",
  none: "It has none yet.",
  unbound: "Not set aside any more: nobody can reach it.",
  port: "Port",
  map: "Map this port",
  mapped: (port: number) => `Port ${port} is mapped.`,
  free: "Free",
  freeOf: (port: number) => `Free port ${port}`,
  freeLead: (port: number) =>
    `Clients that are pointed to port ${port} get 404 from then on. It can be mapped again.`,
  freed: (port: number) => `Port ${port} is free.`,
} as const;
