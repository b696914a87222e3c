import "./styles.css";
import "./theme/theme";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { reloadForNewVersion } from "./new-version";
import { makeQueryClient } from "./query-client";
import { makeRouter } from "./router";

reloadForNewVersion();
const client = makeQueryClient();
const router = makeRouter(client);
const container = document.getElementById("root");
if (!container) throw new Error("index.html has no #root");

createRoot(container).render(
  <StrictMode>
    <QueryClientProvider client={client}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
