import { type ErrorComponentProps, Link, Outlet, useRouter } from "@tanstack/react-router";
import { Compass, TriangleAlert } from "lucide-react";
import { useEffect } from "react";
import { messageOf } from "@/api/problem";
import { PartMissingError, reloadOnceItAnswers } from "@/new-version";
import { texts } from "@/texts";
import { Announcer } from "../announcer";
import { useFocusRescue } from "../focus-rescue";
import { useDocumentTitle, useRouteFocus } from "../route-focus";
import { Toasts } from "../toasts";
import { Button } from "../ui/button";
import { EmptyState } from "../ui/empty-state";
import { Spinner } from "../ui/spinner";

/** What is there on every page, signed in or not. */
export function Root() {
  useRouteFocus();
  useFocusRescue();
  return (
    <>
      <Outlet />
      <Toasts />
      <Announcer />
    </>
  );
}

export function PagePending() {
  return (
    <div className="grid min-h-64 place-items-center text-muted">
      <Spinner className="size-5" label={texts.common.loading} />
    </div>
  );
}

export function NotFoundPage() {
  useDocumentTitle(texts.notFound.title);
  return (
    <EmptyState
      icon={Compass}
      level={1}
      title={texts.notFound.title}
      actions={
        <Button variant="primary" asChild>
          <Link to="/">{texts.notFound.home}</Link>
        </Button>
      }
    >
      <p>{texts.notFound.lead}</p>
    </EmptyState>
  );
}

/** A page that threw, or whose data could not be read at all. */
export function PageCrash({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  const missing = error instanceof PartMissingError;
  const title = missing ? texts.crash.missingTitle : texts.crash.title;
  useDocumentTitle(title);
  useEffect(() => (missing ? reloadOnceItAnswers() : undefined), [missing]);
  const retry = () => {
    reset();
    void router.invalidate();
  };
  return (
    <EmptyState
      icon={TriangleAlert}
      level={1}
      title={title}
      actions={
        <>
          <Button variant="primary" onClick={retry}>
            {texts.common.retry}
          </Button>
          <Button onClick={() => location.reload()}>{texts.crash.reload}</Button>
        </>
      }
    >
      <p>{messageOf(error)}</p>
    </EmptyState>
  );
}

/** Where there is no frame round the page, it brings its own landmark. */
export const AloneNotFound = () => (
  <main>
    <NotFoundPage />
  </main>
);

export const AloneCrash = (props: ErrorComponentProps) => (
  <main>
    <PageCrash {...props} />
  </main>
);
