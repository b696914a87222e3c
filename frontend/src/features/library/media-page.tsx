import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useRouter } from "@tanstack/react-router";
import { ArrowLeft, Pencil, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { deleteMedia, type Media, mediaItemQuery } from "@/api/media";
import { Loaded } from "@/components/loaded";
import { PageHeader } from "@/components/page";
import { exactTime } from "@/components/relative-time";
import { notify } from "@/components/toasts";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Confirm } from "@/components/ui/confirm";
import { Heading } from "@/components/ui/heading";
import { FilledSlot, useSlotFills } from "@/plugin-host/slots";
import { texts } from "@/texts";
import { EditMedia } from "./media-form";

const route = getRouteApi("/app/library/$mediaId");
const { library } = texts;

/** One item, with the parts that plugins add to it. */
export default function MediaPage() {
  const { mediaId } = route.useParams();
  const query = useQuery(mediaItemQuery(mediaId));
  return (
    <>
      <Link
        to="/library"
        className="mb-4 inline-flex items-center gap-1.5 rounded text-sm font-medium text-muted hover:text-text"
      >
        <ArrowLeft aria-hidden="true" className="size-4" />
        {library.back}
      </Link>
      <Loaded query={query} failed={library.itemFailed}>
        {(item) => <Item item={item} />}
      </Loaded>
    </>
  );
}

function Item({ item }: { item: Media }) {
  const { user } = route.useRouteContext();
  const [open, setOpen] = useState<"edit" | "delete" | null>(null);
  const close = () => setOpen(null);
  return (
    <>
      <PageHeader
        title={item.title}
        lead={[item.kind, item.year].filter(Boolean).join(" · ")}
        actions={
          <>
            <Button onClick={() => setOpen("edit")}>
              <Pencil aria-hidden="true" />
              {library.edit}
            </Button>
            <Button variant="danger" onClick={() => setOpen("delete")}>
              <Trash2 aria-hidden="true" />
              {library.delete}
            </Button>
          </>
        }
      />
      <div className="grid grid-cols-1 items-start gap-5 lg:grid-cols-[minmax(0,1fr)_20rem]">
        <PluginTabs item={item} user={user} />
        <Card aria-labelledby="facts-heading" className="lg:order-last">
          <Heading id="facts-heading">{library.facts}</Heading>
          <dl className="mt-2 grid grid-cols-1 gap-2 text-sm">
            {Object.entries(item.metadata ?? {}).map(([name, value]) => (
              <div key={name}>
                <dt className="text-muted">{name}</dt>
                <dd className="break-words">{typeof value === "string" ? value : JSON.stringify(value)}</dd>
              </div>
            ))}
            <div>
              <dt className="text-muted">{library.addedAt}</dt>
              <dd>{exactTime(item.createdAt)}</dd>
            </div>
            <div>
              <dt className="text-muted">{library.addedBy}</dt>
              <dd className="break-all">{item.createdBy}</dd>
            </div>
          </dl>
        </Card>
      </div>
      {open === "edit" && <EditMedia item={item} onClose={close} />}
      {open === "delete" && <DeleteMedia item={item} onClose={close} />}
    </>
  );
}

/** What plugins have to say about the item, a tab each. */
function PluginTabs({ item, user }: { item: Media; user: ReturnType<typeof route.useRouteContext>["user"] }) {
  const fills = useSlotFills("media-detail/tab/v1");
  const [chosen, setChosen] = useState<string | null>(null);
  const context = useMemo(() => ({ media: item }), [item]);
  const current = fills.find((fill) => fill.key === chosen) ?? fills[0];
  if (!current) return <p className="text-pretty text-muted">{library.noParts}</p>;
  return (
    <Card>
      <div role="tablist" aria-label={library.parts} className="-mt-2 mb-5 flex gap-6 overflow-x-auto border-b">
        {fills.map((fill) => (
          <button
            key={fill.key}
            type="button"
            role="tab"
            aria-selected={fill === current}
            tabIndex={fill === current ? 0 : -1}
            onClick={() => setChosen(fill.key)}
            onKeyDown={(event) => {
              const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
              if (step === 0) return;
              const next = fills[(fills.indexOf(fill) + step + fills.length) % fills.length];
              setChosen(next?.key ?? null);
              const sibling =
                step > 0 ? event.currentTarget.nextElementSibling : event.currentTarget.previousElementSibling;
              (sibling as HTMLElement | null)?.focus();
            }}
            className="h-10 shrink-0 border-b-2 border-transparent font-medium text-muted hover:text-text aria-selected:border-accent aria-selected:text-accent"
          >
            {fill.manifest.name}
          </button>
        ))}
      </div>
      <div role="tabpanel" aria-label={current.manifest.name}>
        <FilledSlot key={current.key} fill={current} user={user} context={context} />
      </div>
    </Card>
  );
}

function DeleteMedia({ item, onClose }: { item: Media; onClose: () => void }) {
  const client = useQueryClient();
  const router = useRouter();
  const remove = useMutation({
    mutationFn: () => deleteMedia(item),
    onSuccess: async () => {
      notify(library.deleted(item.title));
      await router.navigate({ to: "/library" });
      client.removeQueries({ queryKey: mediaItemQuery(item.id).queryKey });
      await client.invalidateQueries({ queryKey: ["media", "list"] });
    },
  });
  return (
    <Confirm
      title={library.deleteTitle(item.title)}
      action={library.delete}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate()}
      onClose={onClose}
    >
      <p>{library.deleteLead}</p>
    </Confirm>
  );
}
